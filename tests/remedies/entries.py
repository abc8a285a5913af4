"""The register of remedies. Keys are owners, as `sinks.errors:StoreBroken`; where an owner gives several remedies,
` | ` and the words follow with which only that one begins or ends.

Move an entry to `CARRIED_OUT` when a test does what the remedy says, word by word, and sees the problem gone.
"""

from __future__ import annotations

from collections.abc import Mapping

CARRIED_OUT: Mapping[str, str | tuple[str, ...]] = {
    "pipeline.memory:MemoryExhausted | to more, and restart the worker.": (
        "tests/unit/test_memory.py::"
        "test_a_process_that_is_refused_memory_ends_with_its_bound_and_works_with_a_larger_one"
    ),
    "connectors.errors:WireTypeRefused": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
    "pipeline.consumer:LogTruncated": (
        "tests/acceptance/test_epochs.py::"
        "test_a_log_that_lost_what_was_not_read_yet_stops_the_workers_and_a_snapshot_makes_up_for_it"
    ),
    "pipeline.epoch.opening:CannotBeContinued": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "sinks.elasticsearch:AliasesAstray": (
        "tests/integration/test_elasticsearch_generations.py::"
        "test_an_alias_that_leads_astray_is_told_with_the_requests_that_lead_it_back"
    ),
    "pipeline.crew:LiveGenerationGone": (
        "tests/acceptance/test_health.py::test_workers_whose_live_generation_is_gone_stop_with_a_remedy_that_works"
    ),
    "pipeline.health.checks:connector_runs | Run `readmodels": (
        "tests/acceptance/test_health.py::test_a_resting_connector_is_named_until_the_remedy_is_carried_out"
    ),
    "pipeline.health.checks:model_is_not_paused": (
        "tests/acceptance/test_health.py::test_a_paused_model_is_named_until_the_remedy_is_carried_out"
    ),
    "connectors.connect:ConnectorFailed": (
        "tests/integration/test_continuity.py::test_a_connector_that_fails_tells_why_and_init_restarts_it"
    ),
    "pipeline.preconditions:_of_reading | GRANT USAGE": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.preconditions:_of_reading | GRANT SELECT": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.preconditions:_of_published | ALTER PUBLICATION {name} ADD": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.preconditions:_of_writing | ALTER PUBLICATION": (
        "tests/integration/test_source_database.py::test_generated_columns_that_stop_writers_are_found_with_what_frees_them"
    ),
    "pipeline.preconditions:_of_writing | ALTER TABLE": (
        "tests/integration/test_source_database.py::test_generated_columns_that_stop_writers_are_found_with_what_frees_them"
    ),
    "pipeline.preconditions:_of_columns | ALTER TABLE": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.snapshots:snapshot_findings | Run `readmodels init`, which has": (
        "tests/integration/test_snapshots.py::test_a_table_that_is_captured_later_is_read_then"
    ),
    "sinks.rejection": (
        "tests/integration/test_elasticsearch_rejections.py::"
        "test_a_refused_document_is_named_hidden_and_replaced_by_its_next_version"
    ),
    "sinks.elasticsearch_client:_remedy_of_block | Release the block: ": (
        "tests/integration/test_elasticsearch_rejections.py::"
        "test_a_block_of_the_index_is_waited_for_and_never_the_documents_fault"
    ),
    "sinks.redis_link | Raise": (
        "tests/integration/test_redis_failures.py::test_a_server_without_memory_takes_the_batch_once_it_has_some"
    ),
    "pipeline.ended_log:EpochEnded | If nothing was lost": (
        "tests/acceptance/test_epochs.py::"
        "test_partitions_that_are_added_stop_the_workers_and_rows_may_move_between_them"
    ),
    "pipeline.ended_log:EpochEnded | Changes may be missing": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "sinks.duckdb_errors:DuckdbBroken": (
        "tests/acceptance/test_damaged_generations.py::"
        "test_a_damaged_live_file_of_duckdb_stops_its_worker_and_the_replay_that_it_names_mends_it"
    ),
}

CHECKED: tuple[str, ...] = (
    "connectors.errors:BadRecord",
    "connectors.connect:ConnectError",
    "connectors.connect:ConnectUnavailable",
    "connectors.connect:ConfigRejected",
    "connectors.connect:ConnectorMissing",
    "connectors.connect:ConnectorNotReady",
    "connectors.debezium:ConfigurationRefused",
    "connectors.errors:ContractBroken",
    "connectors.errors:UnsupportedType",
    "connectors.errors:MissingColumn",
    "connectors.errors:BeforeMissing",
    "connectors.errors:InexactDecimal",
    "connectors.errors:RegistryUnavailable",
    "connectors.errors:UnknownSchema",
    "connectors.errors:UnknownTopic",
    "connectors.kafka:KafkaUnavailable",
    "connectors.topics:TopicContractBroken",
    "connectors.topics:InvalidTopicSettings",
    "pipeline.as_of:NoPast",
    "pipeline.child:TopicsMissing",
    "pipeline.cli.context:StackNotInstalled",
    "pipeline.cli.context | Free space",
    "pipeline.cli.context | Let the user",
    "pipeline.cli.context | Correct the option",
    "pipeline.cli.context:remedy_of | This is a fault of readmodels, and",
    "pipeline.cli.context:remedy_of | This is a fault of readmodels. Send",
    "pipeline.cli.demonstration:DemoFailed",
    "pipeline.cli.forms:FormatCannotHold",
    "pipeline.cli.generations:_remedy | Run `readmodels replay",
    "pipeline.cli.generations:_remedy | Readers do",
    "pipeline.cli.verify",
    "pipeline.config:InvalidConfig",
    "pipeline.consumer:KafkaFailed",
    "pipeline.continuity:LogBroken",
    "pipeline.contract:InvalidContract",
    "pipeline.epoch.gate:TopicsGone",
    "pipeline.epoch.opening:WorkersAtWork",
    "pipeline.epoch.settlement:SnapshotUnclear",
    "pipeline.export.export:NoSuchTable",
    "pipeline.export.manifest:ExportDiffers",
    "pipeline.export.opening:S3NotInstalled",
    "pipeline.export.place:PlaceUnavailable",
    "pipeline.export.place:ExportedMeanwhile",
    "pipeline.control:ControlTopicMissing",
    "pipeline.health.checks:connector_runs | Wait until",
    "pipeline.health.checks:slot_is_read | Run `readmodels init`: it says",
    "pipeline.health.checks:slot_is_read | Run `readmodels init`: it resumes",
    "pipeline.health.checks:generation_is_filled",
    "pipeline.health.checks:changes_are_applied | Carry out",
    "pipeline.health.checks:changes_are_applied | End the",
    "pipeline.health.checks:worker_runs | Run `readmodels",
    "pipeline.health.checks:worker_runs | Then start it again: `readmodels run {model}`.",
    "pipeline.health.checks:worker_runs | Start it: `readmodels",
    "pipeline.health.checks:worker_runs | Wait a",
    "pipeline.health.checks:worker_runs | Start it again: `readmodels",
    "pipeline.health.checks:_carry_out",
    "pipeline.heartbeat:reason_for",
    "pipeline.incremental:SnapshotNotTaken",
    "pipeline.incremental:SnapshotRefused",
    "pipeline.incremental:SnapshotStopped",
    "pipeline.incremental:SignalTooLong",
    "pipeline.key_columns:_of_types",
    "pipeline.key_columns:_of_references",
    "pipeline.key_columns:_of_declarations",
    "pipeline.key_text:UnfitKey",
    "pipeline.marks:MarkInsideTransaction",
    "pipeline.memory:MemoryBound._watch",
    "pipeline.memory:MemoryExhausted | on its machine; and restart the worker.",
    "pipeline.marks:MarkNotSeen",
    "pipeline.preconditions:_of_database | ALTER SYSTEM",
    "pipeline.preconditions:_of_database | Make the",
    "pipeline.preconditions:_of_publication | ALTER PUBLICATION",
    "pipeline.preconditions:_of_publication | Run `readmodels",
    "pipeline.preconditions:_of_published | ALTER PUBLICATION {name} DROP",
    "pipeline.preconditions:_of_reading | ALTER ROLE",
    "pipeline.preconditions:_of_signals",
    "pipeline.preconditions:_of_table | Capture its",
    "pipeline.preconditions:_of_table | ALTER TABLE {quoted} REPLICA",
    "pipeline.preconditions:_of_table | ALTER TABLE {quoted} ADD",
    "pipeline.preconditions:_of_table | Make the",
    "pipeline.preconditions:_of_table | Create it,",
    "pipeline.preconditions:_of_columns | Add {name}.{column}",
    "pipeline.preconditions:_of_slot | Run `readmodels",
    "pipeline.preconditions:_of_slot | Start the",
    "pipeline.read_models:UnknownModel",
    "pipeline.rebuild.builders:BuilderStopped",
    "pipeline.rebuild.in_place:OffsetBeyondEnd",
    "pipeline.rebuild.reach:GenerationBehind",
    "pipeline.rebuild.switch:NotForReaders",
    "pipeline.rebuild.switch:NothingToGoBackTo",
    "pipeline.replication:SlotInUse",
    "pipeline.source_database:SourceError",
    "pipeline.source_database:SourceUnavailable",
    "pipeline.source_database:SourceRightsMissing",
    "pipeline.source_rows:ConditionRefused",
    "pipeline.sql:QueryFailed",
    "pipeline.sql:ReadersNotServed",
    "pipeline.snapshots:snapshot_findings | Run `readmodels init`, which waits",
    "pipeline.snapshots:snapshot_findings | Wait for",
    "pipeline.survey.finding | Run `readmodels init`, which makes",
    "pipeline.survey.finding | Run `readmodels init`, which has",
    "pipeline.survey.finding | `retention.ms=-1` and `retention.bytes=-1`.",
    "pipeline.survey.finding | `retention.ms=-1` for the topics.",
    "pipeline.survey.finding | Set `retention.ms=-1`",
    "pipeline.survey.finding | Restore the",
    "pipeline.survey.finding | Declare in",
    "pipeline.survey.finding | End the",
    "pipeline.survey.finding | Wait until",
    "pipeline.survey.finding | Leave the log",
    "pipeline.survey.finding | Correct the",
    "pipeline.rebuild.earlier:_told",
    "pipeline.rebuild.unequal:remedy_of_unequal | Have the rows",
    "pipeline.rebuild.unequal:remedy_of_unequal | `readmodels verify",
    "pipeline.survey.finding | Free space,",
    "pipeline.survey.finding | Watch the",
    "pipeline.survey.reading:LogStalled",
    "pipeline.members:GroupInUse",
    "pipeline.cli.setup:TeardownIncomplete",
    "pipeline.teardown.found:told",
    "pipeline.teardown.connectors:_of_others",
    "pipeline.teardown.log:_unproven",
    "pipeline.teardown.models:find_copies",
    "pipeline.teardown.models:_of_others",
    "pipeline.teardown.models:_unproven",
    "pipeline.teardown.source:_unread",
    "pipeline.teardown.source:_shared",
    "pipeline.teardown.source:_holds",
    "pipeline.teardown.source:_other_publications",
    "pipeline.teardown.source:_not_dropped | Run `readmodels",
    "pipeline.teardown.source:_not_dropped | If nobody",
    "pipeline.verify.arrival:ModelBehind",
    "pipeline.verify.shown_redis:GenerationMoved",
    "pipeline.verify.source_side:NoSuchMoment",
    "pipeline.watchdog:Watchdog._give_up",
    "sinks.duckdb_errors:FileHeld",
    "sinks.duckdb_errors:MemoryShort",
    "sinks.duckdb_errors:StoreDiskFull",
    "sinks.duckdb_front:RequestRefused",
    "sinks.duckdb_inbox:NoWriter",
    "sinks.duckdb_query:QueryRefused",
    "sinks.duckdb_readers:ReadersRefused",
    "sinks.duckdb_removal:DirectoryInUse",
    "sinks.duckdb_request:MalformedRequest",
    "sinks.duckdb_wire:MalformedMessage",
    "sinks.elasticsearch:AliasTaken",
    "sinks.elasticsearch_client:_remedy_of_block | Free disk",
    "sinks.elasticsearch_client:_remedy_of_block | Release the block of",
    "sinks.elasticsearch_client:_remedy_of_block | Drop kept",
    "sinks.elasticsearch_client:_remedy_of_block | Check the user",
    "sinks.elasticsearch_client:_remedy_of_block | Give Elasticsearch",
    "sinks.elasticsearch_mapping:ShapeRefused",
    "sinks.errors:SinkError",
    "sinks.errors:StoreUnavailable",
    "sinks.errors:StoreBroken",
    "sinks.errors:MutationRejected",
    "sinks.errors:GenerationMissing",
    "sinks.errors:GenerationInUse",
    "sinks.errors:GenerationBroken",
    "sinks.redis_link | Free space",
    "sinks.redis_link | Give READMODELS_REDIS__URL",
    "sinks.redis_link | Check the user",
    "sinks.redis_check:check | Use Redis",
    "sinks.redis_check:check | Use a",
    "sinks.redis_check:check | Set maxmemory-policy",
    "sinks.redis_check:check | Set appendonly",
    "stack.account:account_for",
    "stack.errors:StackError",
    "stack.errors:JavaMissing",
    "stack.errors:ProgramMissing",
    "stack.errors:Unreachable",
    "stack.errors:DownloadFailed",
    "stack.errors:ChecksumMismatch",
    "stack.errors:DiskFull",
    "stack.errors:ServerDied",
    "stack.errors:ServerSilent",
    "stack.errors:StackBusy",
    "stack.preconditions:require_free",
    "sinks.elasticsearch_client:AnswerUnreadable",
    "pipeline.unsendable:unsendable",
)

NOTHING_TO_DO: tuple[str, ...] = (
    "sinks.errors:ProgressLost",
    "sinks.duckdb_store:FileReplaced",
    "sinks.duckdb_store:WriterElsewhere",
    "connectors.errors:SystemicError",
    "pipeline.survey.finding | Nothing: the",
    "pipeline.survey.finding | Nothing: older",
    "pipeline.survey.finding | Nothing, if",
)
