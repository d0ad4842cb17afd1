"""What the functions in the network of the databases do: reach one, and have one slice run there.

They call S3 for the plan, and with `auth: secret` Secrets Manager; nothing else of AWS answers.
"""
