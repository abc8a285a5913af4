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
    "connectors.errors:MissingColumn": (
        "tests/unit/remedies/test_records.py::test_a_log_without_a_column_is_read_once_the_column_is_taken_out",
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models",
    ),
    "connectors.errors:UnsupportedType": (
        "tests/unit/remedies/test_records.py::"
        "test_a_log_is_read_once_the_column_of_an_unsupported_type_is_taken_out_or_has_another"
    ),
    "connectors.errors:InexactDecimal": (
        "tests/unit/remedies/test_records.py::"
        "test_a_log_of_doubles_is_read_once_amounts_are_sent_in_text_or_rounded_ones_accepted"
    ),
    "connectors.connect:ConfigRejected": (
        "tests/integration/test_setup.py::test_a_connector_that_cannot_log_in_is_rejected_with_the_reason"
    ),
    "connectors.connect:ConnectError": (
        "tests/unit/remedies/test_servers.py::test_kafka_connect_obeys_once_its_address_has_the_user_and_the_password"
    ),
    "connectors.connect:ConnectUnavailable": (
        "tests/unit/remedies/test_servers.py::test_kafka_connect_answers_once_it_is_started_or_its_address_corrected"
    ),
    "connectors.connect:ConnectorMissing": (
        "tests/integration/test_continuity.py::test_init_creates_a_connector_that_is_missing"
    ),
    "connectors.connect:ConnectorNotReady": (
        "tests/integration/test_continuity.py::test_init_resumes_a_stopped_connector"
    ),
    "connectors.debezium:ConfigurationRefused": (
        "tests/integration/test_continuity.py::test_workers_see_that_the_connector_may_snapshot_by_itself"
    ),
    "connectors.errors:RegistryUnavailable": (
        "tests/unit/remedies/test_servers.py::"
        "test_schemas_are_read_once_the_registry_is_started_or_its_address_corrected",
        "tests/acceptance/test_bad_input.py::test_a_silent_registry_pauses_the_workers_until_it_answers",
    ),
    "connectors.errors:UnknownSchema": (
        "tests/unit/remedies/test_servers.py::test_a_schema_is_read_once_the_registry_knows_it_again",
        "tests/acceptance/test_bad_input.py::test_an_unknown_schema_id_pauses_until_the_registry_knows_it",
    ),
    "connectors.kafka:KafkaUnavailable": (
        "tests/integration/test_kafka_remedies.py::test_brokers_answer_once_their_addresses_are_corrected"
    ),
    "connectors.topics:TopicContractBroken": (
        "tests/integration/test_setup.py::"
        "test_a_topic_that_differs_is_taken_once_the_topic_or_its_settings_are_altered_or_all_begins_anew"
    ),
    "pipeline.cli.context | Create the folder": (
        "tests/unit/remedies/test_command.py::test_a_file_is_written_once_its_folder_exists"
    ),
    "pipeline.cli.context | Free space": (
        "tests/unit/remedies/test_command.py::test_an_answer_is_written_once_its_disk_has_room"
    ),
    "pipeline.cli.context | Let the user": (
        "tests/unit/remedies/test_command.py::test_a_file_is_written_once_the_user_may"
    ),
    "pipeline.cli.context | Name another": (
        "tests/unit/remedies/test_command.py::test_an_answer_is_written_once_another_file_is_named"
    ),
    "pipeline.cli.context:StackNotInstalled": (
        "tests/unit/remedies/test_command.py::test_servers_of_ones_own_need_no_local_stack_and_a_command_installs_one"
    ),
    "pipeline.cli.context:remedy_of | This is a fault of readmodels, and": (
        "tests/unit/remedies/test_command.py::test_a_fault_is_written_once_there_is_room_for_its_file"
    ),
    "pipeline.cli.context:remedy_of | This is a fault of readmodels. Send": (
        "tests/unit/remedies/test_command.py::test_a_fault_is_written_to_the_file_that_the_remedy_names"
    ),
    "pipeline.cli.forms:FormatCannotHold": (
        "tests/unit/remedies/test_command.py::"
        "test_a_column_that_parquet_cannot_hold_is_written_once_it_is_cast_or_in_another_format"
    ),
    "pipeline.config:load | Correct": (
        "tests/unit/remedies/test_settings.py::test_a_description_is_read_once_the_line_that_the_message_names_is_toml"
    ),
    "pipeline.config:load | Create": (
        "tests/unit/remedies/test_settings.py::test_a_description_is_found_once_it_is_created_or_named"
    ),
    "pipeline.config:load | Unset": (
        "tests/unit/remedies/test_settings.py::test_a_section_of_the_environment_is_taken_once_it_is_json_or_unset"
    ),
    "pipeline.continuity:LogBroken": (
        "tests/integration/test_continuity.py::test_a_slot_that_is_gone_is_refused_and_teardown_makes_a_new_beginning",
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap",
    ),
    "pipeline.contract:InvalidContract": (
        "tests/unit/remedies/test_settings.py::test_a_description_is_taken_once_what_the_message_names_is_corrected"
    ),
    "pipeline.control:ControlTopicMissing": (
        "tests/integration/test_kafka_remedies.py::test_requests_are_read_once_init_has_created_their_topic"
    ),
    "pipeline.epoch.opening:WorkersAtWork": (
        "tests/integration/test_kafka_remedies.py::test_an_epoch_is_opened_once_the_workers_have_ended"
    ),
    "pipeline.invalid_config:remedy_of": (
        "tests/unit/remedies/test_settings.py::test_settings_are_complete_once_each_that_the_remedy_names_is_set",
        "tests/unit/remedies/test_settings.py::test_a_setting_is_taken_once_it_is_corrected_or_removed",
    ),
    "stack.account:account_for": (
        "tests/unit/remedies/test_stack.py::"
        "test_root_starts_servers_once_there_is_setpriv_and_an_ordinary_user_without_it"
    ),
    "stack.errors:ChecksumMismatch": (
        "tests/unit/remedies/test_stack.py::test_a_file_with_a_wrong_sum_is_fetched_anew_once_it_is_deleted"
    ),
    "stack.errors:DiskFull": (
        "tests/integration/test_stack_remedies.py::test_a_start_succeeds_once_there_is_room_on_the_disk"
    ),
    "stack.errors:DownloadFailed": (
        "tests/unit/remedies/test_stack.py::test_a_download_succeeds_once_the_proxy_is_unset"
    ),
    "stack.errors:JavaMissing": ("tests/unit/remedies/test_stack.py::test_a_jdk_that_java_home_names_is_found"),
    "stack.errors:ProgramMissing": (
        "tests/unit/remedies/test_stack.py::"
        "test_the_command_that_installs_the_servers_installs_the_package_that_is_missing"
    ),
    "stack.errors:ServerDied": (
        "tests/integration/test_stack_remedies.py::"
        "test_a_server_that_died_starts_once_the_cause_that_its_log_names_is_removed"
    ),
    "stack.errors:StackBusy": (
        "tests/integration/test_stack_remedies.py::test_a_command_succeeds_once_the_other_process_has_ended"
    ),
    "stack.errors:StackError": (
        "tests/integration/test_stack_remedies.py::test_a_server_that_hangs_is_replaced",
        "tests/unit/remedies/test_stack.py::test_data_of_an_earlier_version_is_moved_once_its_servers_are_down",
    ),
    "stack.errors:Unreachable": (
        "tests/unit/remedies/test_stack.py::"
        "test_programs_are_reached_once_the_variable_names_a_folder_that_every_user_reads"
    ),
    "stack.home:free_ports": (
        "tests/unit/remedies/test_stack.py::test_ports_are_found_once_the_programs_that_listen_on_them_have_ended"
    ),
    "stack.preconditions:require_free": (
        "tests/integration/test_stack_remedies.py::test_a_start_succeeds_once_the_process_at_its_port_has_ended",
        "tests/integration/test_stack_remedies.py::test_a_start_chooses_other_ports_once_the_file_of_ports_is_deleted",
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
    "pipeline.rebuild.unequal:remedy_of_unequal | Have the rows": (
        "tests/acceptance/test_columns.py::test_columns_come_and_go_and_every_model_is_rebuilt_equal"
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
    "connectors.errors:BeforeMissing",
    "connectors.errors:BadRecord",
    "pipeline.child:TopicsMissing",
    "pipeline.epoch.gate:TopicsGone",
    "pipeline.cli.generations:_remedy | Run `readmodels replay",
    "pipeline.cli.generations:_remedy | Run `readmodels prune",
    "pipeline.cli.demonstration:DemoFailed",
    "pipeline.as_of:NoPast",
    "pipeline.export.export:NoSuchTable",
    "pipeline.export.manifest:ExportDiffers",
    "pipeline.export.opening:S3NotInstalled",
    "pipeline.export.place:PlaceUnavailable",
    "pipeline.export.place:ExportedMeanwhile",
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
    "sinks.elasticsearch_client:AnswerUnreadable",
    "pipeline.unsendable:unsendable",
)

CHECKED_BECAUSE: Mapping[str, str] = {
    "pipeline.consumer:KafkaFailed": "the tests' brokers authorize everybody, and refuse no consumer for good",
    "pipeline.epoch.settlement:SnapshotUnclear": (
        "no log is known that ends so; `tests/acceptance/test_verify.py::"
        "test_damaged_rows_are_named_and_mended_while_nobody_holds_them` removes such rows with these commands"
    ),
    "pipeline.cli.verify": (
        "no difference is known that a repair leaves; `tests/acceptance/test_replay.py::"
        "test_a_model_that_was_damaged_is_rebuilt_and_equal` mends a damaged model with this command"
    ),
}
"""Remedies that no test carries out, each with the reason."""

NOTHING_TO_DO: tuple[str, ...] = (
    "sinks.errors:ProgressLost",
    "sinks.duckdb_store:FileReplaced",
    "sinks.duckdb_store:WriterElsewhere",
    "pipeline.survey.finding | Nothing: the",
    "pipeline.survey.finding | Nothing: older",
    "pipeline.survey.finding | Nothing, if",
)
