"""The local cloud: the production templates on one machine, in compressed time.

`greenlane.local.cloud.LocalCloud` starts an AWS endpoint (moto) in this process and mends what moto
lacks: functions run in processes of their own, EventBridge delivers, Step Functions stops and times
out as in AWS. `greenlane.local.deploy` puts synthesized templates into it.

Nothing is imported here: moto takes more than a second, and not every part needs it.
"""
