"""The edges to ECS, the load balancer, ECR, auto scaling and the workload's description."""
