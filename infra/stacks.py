"""The product without its HTTP API: what deploys, watches and goes back, in one Region."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE
from greenlane.regions.coordinating.requesting import REGIONS_MACHINE
from infra.adopted import AdoptedService
from infra.catalog import FUNCTIONS
from infra.code import MIGRATION_LAYER, Dependencies, our_code
from infra.events import Events
from infra.experiments import EXPERIMENT_MACHINE, Experiments
from infra.experiments_storage import ExperimentsStorage
from infra.flag_ramps import FLAG_MACHINE, FlagRamps
from infra.flags_storage import FlagsStorage
from infra.function_spec import FunctionSpec
from infra.functions import Function, all_versions, camel
from infra.incidents import Incidents
from infra.migrations import MIGRATION_MACHINE, Migrations, PlansBucket
from infra.own_alarms import OwnAlarms
from infra.people import People
from infra.permissions import Permissions
from infra.permissions_regions import RegionsPermissions
from infra.permissions_restores import RestorePermissions
from infra.places import machine_arn, migration_places, rollout_machine
from infra.regions import Coordinator, RegionNews
from infra.requests import Requests
from infra.restores import RESTORE_MACHINE, Restores
from infra.retention import log_retention
from infra.settings import MigrationSettings, RegionsSettings, Settings
from infra.storage import Storage
from infra.triggers import Triggers
from infra.workflows import STATE_MACHINES, Workflow


class GreenlaneStack(Stack):
    """The product, for one Region: functions, state machines, table, topic, rules."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        state_machines: Path = STATE_MACHINES,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self._settings = settings
        storage = Storage(self, "Storage")
        incidents = Incidents(self, "Incidents")
        flags = FlagsStorage(
            self,
            "FlagsStorage",
            replicas=settings.flags.replicas,
            is_replica=settings.flags.is_replica,
        )
        experiments = ExperimentsStorage(self, "ExperimentsStorage")
        services = {
            service.name: AdoptedService(self, f"Service-{service.name}", service=service)
            for service in settings.services
        }
        # Written from their names, so that functions and machines do not wait for each other.
        deployment_arn = machine_arn(self, DEPLOYMENT_MACHINE)
        rollback_arn = machine_arn(self, ROLLBACK_MACHINE)
        plans = PlansBucket(self, "Plans") if settings.migrations is not None else None
        places = plans and migration_places(self, plans.bucket.bucket_arn)
        permissions = Permissions(
            stack=self,
            services=list(services.values()),
            table_arn=storage.table.table_arn,
            topic_arn=storage.topic.topic_arn,
            undelivered_arn=storage.undelivered.queue_arn,
            reports_arn=incidents.bucket.bucket_arn,
            deployment_machine=deployment_arn,
            rollback_machine=rollback_arn,
            flags_arn=flags.table.table_arn,
            flag_machine=machine_arn(self, FLAG_MACHINE),
            experiments_arn=experiments.table.table_arn,
            experiment_machine=machine_arn(self, EXPERIMENT_MACHINE),
            migrations=places,
            rollout_machine=rollout_machine(self, settings),
        )
        environment = {
            "DEPLOYMENTS_TABLE": storage.table.table_name,
            "TOPIC_ARN": storage.topic.topic_arn,
            "DEPLOYMENT_MACHINE_ARN": deployment_arn,
            "ROLLBACK_MACHINE_ARN": rollback_arn,
            "INCIDENTS_BUCKET": incidents.bucket.bucket_name,
            "FLAGS_TABLE": flags.table.table_name,
            "FLAG_MACHINE_ARN": machine_arn(self, FLAG_MACHINE),
            "EXPERIMENTS_TABLE": experiments.table.table_name,
            "EXPERIMENT_MACHINE_ARN": machine_arn(self, EXPERIMENT_MACHINE),
            "POWERTOOLS_SERVICE_NAME": "greenlane",
            "LOG_LEVEL": "INFO",
        }
        if plans is not None:
            environment["MIGRATIONS_BUCKET"] = plans.bucket.bucket_name
            environment["MIGRATION_MACHINE_ARN"] = machine_arn(self, MIGRATION_MACHINE)
        code, layer = our_code(), Dependencies(self, "Dependencies").layer
        self.functions = self._functions(
            permissions, environment, services[settings.network_service], code, layer
        )
        machines = {"DeploymentMachineArn": deployment_arn, "RollbackMachineArn": rollback_arn}
        bindings = {
            f"{camel(module)}Arn": function.version.function_arn
            for module, function in self.functions.items()
        }
        workflows = {
            name: Workflow(
                self,
                f"{file.title()}Workflow",
                name=name,
                file=f"{file}.asl.json",
                bindings={**bindings, **machines, "TopicArn": storage.topic.topic_arn},
                may_invoke={
                    f"{camel(module)}Arn": all_versions(self, module) for module in self.functions
                },
                may_start=machines,
                log_retention=log_retention(settings),
                folder=state_machines,
            )
            for name, file in ((DEPLOYMENT_MACHINE, "deployment"), (ROLLBACK_MACHINE, "rollback"))
        }
        Events(
            self,
            "Events",
            services=list(services.values()),
            deployment_machine_arn=deployment_arn,
            rollback=workflows[ROLLBACK_MACHINE].machine,
            ticks=[self.functions[spec.module] for spec in FUNCTIONS if spec.tick],
            tell_warning=self.functions["tell_warning"],
            undelivered=storage.undelivered,
        )
        FlagRamps(
            self,
            "FlagRamps",
            services=list(services),
            functions=self.functions,
            all_versions={module: all_versions(self, module) for module in self.functions},
            undelivered=storage.undelivered,
            log_retention=log_retention(settings),
        )
        Experiments(
            self,
            "Experiments",
            services=list(services),
            functions=self.functions,
            all_versions={module: all_versions(self, module) for module in self.functions},
            undelivered=storage.undelivered,
            log_retention=log_retention(settings),
        )
        Requests(
            self,
            "Requests",
            region=self.region,
            sources=settings.request_sources,
            functions=self.functions,
            all_versions={module: all_versions(self, module) for module in self.functions},
            undelivered=storage.undelivered,
            log_retention=log_retention(settings),
        )
        Triggers(
            self,
            "Triggers",
            services=list(services.values()),
            normalise=self.functions["normalise_trigger"],
            undelivered=storage.undelivered,
        )
        People(
            self,
            "People",
            topic=storage.topic,
            notify=self.functions["notify_people"],
            undelivered=storage.undelivered,
            operators=settings.operators,
        )
        own_alarms = OwnAlarms(
            self,
            "OwnAlarms",
            topic=storage.topic,
            undelivered=storage.undelivered,
            reconcile=self.functions["reconcile"],
            notify=self.functions["notify_people"],
            flags=self.functions["tick_flags"],
            experiments=self.functions["tick_experiments"],
        )
        if settings.migrations is not None and plans is not None:
            migrations = self._migrations(
                settings.migrations, permissions, environment, storage, plans, code, layer
            )
            own_alarms.watch_migrations(migrations.functions["tick_migrations"])
        if settings.regions is not None:
            self._regions(
                settings.regions, permissions, environment, storage, own_alarms, code, layer
            )

    def _regions(
        self,
        settings: RegionsSettings,
        permissions: Permissions,
        environment: dict[str, str],
        storage: Storage,
        own_alarms: OwnAlarms,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
    ) -> None:
        RegionNews(
            self,
            "RegionNews",
            settings=settings,
            region=self._settings.region,
            undelivered=storage.undelivered,
        )
        if not self._settings.coordinates:
            return
        may = RegionsPermissions(
            **{one.name: getattr(permissions, one.name) for one in fields(permissions)},
            regions=settings.everywhere,
            regions_machine=machine_arn(self, REGIONS_MACHINE),
        )
        coordinator = Coordinator(
            self,
            "Regions",
            settings=settings,
            permissions=may,
            code=code,
            layer=layer,
            environment=environment,
            undelivered=storage.undelivered,
            log_retention=log_retention(self._settings),
        )
        own_alarms.watch_rollouts(coordinator.functions["tend_rollouts"])

    def _migrations(
        self,
        settings: MigrationSettings,
        permissions: Permissions,
        environment: dict[str, str],
        storage: Storage,
        plans: PlansBucket,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
    ) -> Migrations:
        parsing = Dependencies(
            self,
            "MigrationDependencies",
            folder=MIGRATION_LAYER,
            package="postgast",
            name="greenlane-migration-dependencies",
        )
        may = RestorePermissions(
            **{one.name: getattr(permissions, one.name) for one in fields(permissions)},
            databases=settings.databases,
            plans_arn=plans.bucket.bucket_arn,
            migration_machine=machine_arn(self, MIGRATION_MACHINE),
            restore_machine=machine_arn(self, RESTORE_MACHINE),
        )
        migrations = Migrations(
            self,
            "Migrations",
            settings=settings,
            permissions=may,
            plans=plans,
            code=code,
            layers=(layer, parsing.layer),
            environment=environment,
            undelivered=storage.undelivered,
            log_retention=log_retention(self._settings),
        )
        Restores(
            self,
            "Restores",
            settings=settings,
            permissions=may,
            code=code,
            layers=(layer, parsing.layer),
            environment=environment,
            undelivered=storage.undelivered,
            log_retention=log_retention(self._settings),
        )
        return migrations

    def _functions(
        self,
        permissions: Permissions,
        environment: dict[str, str],
        network: AdoptedService,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
    ) -> dict[str, Function]:
        subnets, group = network.subnets(), network.validation_security_group()

        def build(spec: FunctionSpec) -> Function:
            return Function(
                self,
                camel(spec.module),
                module=spec.module,
                code=code,
                layers=[layer],
                timeout_seconds=spec.timeout_seconds,
                memory_mb=spec.memory_mb,
                environment=environment,
                allows=spec.may(permissions),
                log_retention=log_retention(self._settings),
                tick=spec.tick,
                subnet_ids=subnets if spec.in_vpc else (),
                security_group_ids=[group] if spec.in_vpc else (),
            )

        return {spec.module: build(spec) for spec in FUNCTIONS}
