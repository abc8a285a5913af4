"""Register of remedies.

Keys are owners, such as `sinks.errors:StoreNeedsRestart`. If an owner has several remedies, ` | ` follows, with the
words that begin or end only that remedy.

Move an entry to `CARRIED_OUT` when a test carries out the remedy verbatim, and checks that the problem is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

CARRIED_OUT: Mapping[str, str | tuple[str, ...]] = {
    "pipeline.health.checks:worker_runs | Run `readmodels": (
        "tests/acceptance/test_health.py::test_killed_workers_are_missing_until_others_run_in_their_place"
    ),
    "pipeline.health.checks:worker_runs | Start it: `readmodels": (
        "tests/acceptance/test_health.py::test_the_health_checks_of_compose_hold_while_workers_work_and_fail_without_them"
    ),
    "pipeline.postgres.watermark:WatermarkTimeout": (
        "tests/acceptance/test_health.py::test_a_resting_connector_is_named_until_the_remedy_is_carried_out"
    ),
    "pipeline.verify.catch_up:CatchUpTimeout": (
        "tests/acceptance/test_health.py::test_a_paused_model_is_named_until_the_remedy_is_carried_out"
    ),
    "pipeline.crash_report": (
        "tests/unit/remedies/test_faults.py::"
        "test_the_message_about_a_fault_can_be_sent_for_it_names_its_place_and_no_value"
    ),
    "sinks.errors:SinkError": (
        "tests/unit/remedies/test_faults.py::test_the_message_about_a_fault_of_duckdbs_writer_can_be_sent"
    ),
    "pipeline.memory_limit:MemoryExhausted | or the machine), and restart it.": (
        "tests/unit/pipeline/test_memory_limit.py::test_a_bound_that_is_not_the_workers_own_is_named_and_raised"
    ),
    "pipeline.memory_limit:MemoryLimit._watch": (
        "tests/unit/pipeline/test_memory_limit.py::test_a_process_near_its_bound_warns_until_the_bound_is_raised"
    ),
    "pipeline.export.open_target:S3NotInstalled": (
        "tests/unit/pipeline/export/test_s3.py::test_an_export_reaches_s3_once_the_extra_is_installed"
    ),
    "pipeline.log_scan.finding | Set `retention.ms=-1`": (
        "tests/integration/test_survey.py::test_a_topic_that_expires_is_kept_once_it_has_the_settings_of_the_remedy"
    ),
    "sinks.redis.connection:translate_errors": (
        "tests/integration/test_redis_failures.py::test_a_user_without_rights_or_with_another_password_is_corrected"
    ),
    "sinks.elasticsearch.store:AliasTaken": (
        "tests/integration/test_elasticsearch_remedies.py::"
        "test_an_index_in_the_place_of_an_alias_is_deleted_and_the_generation_shown_again"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Release the block of": (
        "tests/integration/test_elasticsearch_remedies.py::test_a_block_of_the_cluster_is_released"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Drop kept": (
        "tests/integration/test_elasticsearch_remedies.py::"
        "test_a_cluster_with_too_many_shards_makes_an_index_once_it_may_have_more"
    ),
    "sinks.elasticsearch.client:UnreadableResponse": (
        "tests/integration/test_elasticsearch_remedies.py::"
        "test_a_document_that_cannot_be_read_is_kept_as_text_by_the_new_generation_of_a_replay"
    ),
    "pipeline.query.as_of:NoHistory": (
        "tests/unit/remedies/test_questions.py::test_a_table_without_a_past_is_asked_by_its_plain_name"
    ),
    "pipeline.export.export:NoSuchTable": (
        "tests/unit/remedies/test_questions.py::test_a_name_that_is_no_table_is_replaced_by_one_of_the_named"
    ),
    "pipeline.export.manifest:ExportDiffers": (
        "tests/unit/remedies/test_questions.py::test_an_export_of_something_else_goes_into_an_empty_folder",
        "tests/unit/remedies/test_questions.py::"
        "test_an_export_of_a_model_that_is_behind_is_repeated_once_it_has_caught_up",
    ),
    "pipeline.export.target:TargetUnavailable": (
        "tests/unit/remedies/test_questions.py::test_a_place_that_is_no_folder_becomes_one"
    ),
    "pipeline.export.target:ConcurrentExport": (
        "tests/unit/remedies/test_questions.py::test_an_export_is_run_again_when_the_other_has_ended"
    ),
    "pipeline.postgres.incremental_snapshot:SignalTooLong": (
        "tests/unit/remedies/test_questions.py::test_a_condition_that_is_too_long_is_given_as_a_range_of_the_key"
    ),
    "pipeline.postgres.incremental_snapshot:SnapshotRefused": (
        "tests/integration/test_source_remedies.py::test_rows_are_read_by_the_connector_once_its_role_has_the_rights"
    ),
    "pipeline.read_models:UnknownModel": (
        "tests/unit/remedies/test_questions.py::test_an_unknown_model_is_replaced_by_one_of_the_listed_names"
    ),
    "pipeline.query.query:QueryFailed": (
        "tests/unit/remedies/test_questions.py::"
        "test_a_failed_query_is_corrected_with_the_statements_that_list_tables_and_columns"
    ),
    "pipeline.query.query:QuackNotServed": (
        "tests/unit/remedies/test_questions.py::test_readers_are_served_once_the_named_settings_are_set"
    ),
    "sinks.duckdb.query_check:QueryRefused": (
        "tests/unit/remedies/test_questions.py::"
        "test_a_refused_query_is_asked_with_one_select_of_the_functions_that_the_page_allows"
    ),
    "sinks.duckdb.special_values:NumberRefused": (
        "tests/unit/sinks/duckdb/test_sink.py::"
        "test_a_number_of_too_many_digits_is_stored_once_its_column_is_declared_as_in_the_remedy"
    ),
    "sinks.errors:MutationRejected": (
        "tests/unit/remedies/test_stores.py::"
        "test_a_batch_that_duckdb_refuses_is_written_into_the_new_generation_of_a_replay"
    ),
    "sinks.errors:StoreNeedsRestart": (
        "tests/unit/remedies/test_stores.py::test_a_store_that_needs_a_restart_continues_in_a_new_process"
    ),
    "sinks.errors:GenerationInUse": (
        "tests/unit/remedies/test_stores.py::test_a_generation_in_use_is_removed_after_a_cutover_to_another"
    ),
    "sinks.duckdb.errors:StoreDiskFull": (
        "tests/unit/remedies/test_stores.py::test_a_full_disk_takes_the_batch_once_it_has_room"
    ),
    "sinks.duckdb.errors:MemoryShort": (
        "tests/unit/remedies/test_stores.py::test_a_memory_limit_that_is_too_small_is_raised"
    ),
    "sinks.duckdb.errors:FileHeld": (
        "tests/unit/remedies/test_stores.py::"
        "test_a_held_file_is_opened_once_the_process_that_the_message_names_has_ended"
    ),
    "sinks.duckdb.remote.server:WriterNotRunning": (
        "tests/unit/remedies/test_stores.py::test_a_command_that_lacks_the_writer_continues_once_one_runs"
    ),
    "sinks.duckdb.serving:ReadersRefused": (
        "tests/unit/remedies/test_stores.py::test_readers_are_served_once_the_settings_are_as_the_remedy_has_them"
    ),
    "sinks.elasticsearch.overrides:InvalidOverride": (
        "tests/integration/test_elasticsearch_overrides.py::"
        "test_what_elasticsearch_does_not_accept_is_refused_at_init_and_leaves_nothing",
    ),
    "sinks.elasticsearch.mapping:InvalidMapping": (
        "tests/unit/remedies/test_stores.py::test_a_shape_that_no_index_can_hold_is_renamed_or_removed"
    ),
    "pipeline.generations.builders:BuilderFailed": (
        "tests/unit/remedies/test_stores.py::test_a_replay_resumes_once_the_remedy_of_its_builder_is_carried_out"
    ),
    "pipeline.postgres.unsendable:unsendable | Leave": (
        "tests/integration/test_unsendable.py::test_leaving_the_column_out_is_enough"
    ),
    "pipeline.postgres.unsendable:unsendable | Change": (
        "tests/integration/test_unsendable.py::"
        "test_a_timestamp_that_duckdb_has_not_is_refused_in_a_key_until_its_row_is_gone"
    ),
    "pipeline.postgres.preconditions:_of_database | Move the": (
        "tests/integration/test_source_remedies.py::"
        "test_a_database_of_another_encoding_gives_way_to_one_that_the_remedy_creates"
    ),
    "pipeline.postgres.preconditions:_of_publication | ALTER PUBLICATION": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_published | ALTER PUBLICATION {name} DROP": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_signals": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_reading | ALTER ROLE": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_table | If it is": (
        "tests/integration/test_source_remedies.py::"
        "test_an_unlogged_table_is_logged_and_a_partitioned_one_captured_by_its_partitions"
    ),
    "pipeline.postgres.preconditions:_of_table | ALTER TABLE {quoted} REPLICA": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_table | ALTER TABLE {quoted} ADD": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_table | ALTER TABLE {quoted} DROP": (
        "tests/integration/test_source_remedies.py::"
        "test_a_source_is_ready_once_the_statements_of_the_remedy_are_executed"
    ),
    "pipeline.postgres.preconditions:_of_table | Create {name}": (
        "tests/integration/test_source_remedies.py::test_a_missing_table_is_created_or_removed_from_the_definitions"
    ),
    "pipeline.postgres.preconditions:_of_columns | ALTER": (
        "tests/integration/test_source_remedies.py::test_a_stored_generated_column_is_published_and_then_captured"
    ),
    "pipeline.postgres.preconditions:_of_names": (
        "tests/integration/test_introspection.py::"
        "test_a_name_that_avro_does_not_allow_is_refused_until_the_column_is_excluded"
    ),
    "pipeline.config:load_source_url | Correct": (
        "tests/integration/test_introspection.py::"
        "test_the_address_is_read_without_a_file_and_its_absence_names_the_variable"
    ),
    "pipeline.config:load_source_url | Set READMODELS": (
        "tests/integration/test_introspection.py::"
        "test_the_address_is_read_without_a_file_and_its_absence_names_the_variable"
    ),
    "pipeline.postgres.catalog:InvalidPattern": (
        "tests/integration/test_introspection.py::test_a_pattern_is_corrected_as_its_remedy_says"
    ),
    "pipeline.postgres.catalog:NoTableMatches": (
        "tests/integration/test_introspection.py::test_a_pattern_is_corrected_as_its_remedy_says"
    ),
    "pipeline.setup.declared:differences | Take {section}": (
        "tests/integration/test_introspection.py::"
        "test_a_parent_is_not_captured_in_place_of_the_tables_that_inherit_from_it"
    ),
    "pipeline.setup.declared:differences | Write key": (
        "tests/integration/test_introspection.py::"
        "test_a_declaration_that_differs_from_the_database_is_refused_until_it_is_corrected"
    ),
    "pipeline.setup.declared:differences | Take {column}": (
        "tests/integration/test_introspection.py::"
        "test_a_declaration_that_differs_from_the_database_is_refused_until_it_is_corrected"
    ),
    "pipeline.setup.declared:differences | Write {column}": (
        "tests/integration/test_introspection.py::"
        "test_a_declaration_that_differs_from_the_database_is_refused_until_it_is_corrected"
    ),
    "pipeline.postgres.preconditions:_of_columns | Take": (
        "tests/integration/test_source_remedies.py::test_a_generated_column_is_removed_from_the_definitions"
    ),
    "pipeline.postgres.key_columns:_of_types": (
        "tests/integration/test_key_columns.py::test_a_column_that_cannot_be_a_key_is_named_with_what_makes_it_one"
    ),
    "pipeline.postgres.key_columns:_of_references": (
        "tests/integration/test_key_columns.py::test_a_reference_has_a_type_whose_texts_are_those_of_the_key"
    ),
    "pipeline.postgres.key_columns:_of_declarations": (
        "tests/integration/test_key_columns.py::test_a_type_that_is_declared_otherwise_is_named"
    ),
    "pipeline.postgres.replication:SlotInUse": (
        "tests/integration/test_source_remedies.py::test_a_slot_is_dropped_once_the_session_that_reads_it_is_ended"
    ),
    "pipeline.postgres.database:SourceError": (
        "tests/integration/test_source_remedies.py::test_a_statement_succeeds_once_what_postgresql_names_is_corrected"
    ),
    "pipeline.postgres.database:SourceUnavailable": (
        "tests/integration/test_source_remedies.py::test_a_source_answers_once_its_address_is_corrected"
    ),
    "pipeline.postgres.database:InsufficientPrivilege": (
        "tests/integration/test_source_remedies.py::"
        "test_a_setup_succeeds_once_the_urls_name_roles_with_the_rights_or_a_dba_runs_the_statements"
    ),
    "pipeline.postgres.row_estimate:InvalidCondition": (
        "tests/integration/test_source_remedies.py::test_a_condition_is_taken_once_it_is_written_as_the_example"
    ),
    "pipeline.verify.source.reader:InvalidSince": (
        "tests/integration/test_source_remedies.py::test_a_time_is_accepted_once_it_is_written_as_the_example"
    ),
    "sinks.redis.connection | Free space": (
        "tests/integration/test_redis_failures.py::"
        "test_a_server_that_could_not_save_takes_the_batch_once_its_disk_has_room"
    ),
    "sinks.redis.connection | This server": (
        "tests/integration/test_redis_failures.py::"
        "test_a_replica_takes_the_batch_once_it_is_promoted_and_the_primary_at_once"
    ),
    "sinks.redis.connection | Correct the user": (
        "tests/integration/test_redis_failures.py::test_a_user_without_rights_or_with_another_password_is_corrected"
    ),
    "sinks.errors:StoreUnavailable": (
        "tests/integration/test_redis_failures.py::test_a_worker_resumes_automatically_once_the_store_is_started"
    ),
    "sinks.redis.server_check:check_server | Set READMODELS_REDIS__URL to a server of": (
        "tests/integration/test_redis_failures.py::"
        "test_a_server_that_is_too_old_gives_way_to_the_oldest_that_is_supported"
    ),
    "sinks.redis.server_check:check_server | Set READMODELS_REDIS__URL to a server with": (
        "tests/integration/test_redis_failures.py::test_a_server_in_cluster_mode_gives_way_to_one_that_is_not"
    ),
    "sinks.redis.server_check:check_server | Run `redis-cli CONFIG SET maxmemory-policy": (
        "tests/integration/test_redis_failures.py::test_a_server_that_evicts_registers_is_refused"
    ),
    "sinks.redis.server_check:check_server | Run `redis-cli CONFIG SET appendonly": (
        "tests/integration/test_redis_failures.py::test_a_worker_warns_of_a_server_without_an_append_only_file"
    ),
    "pipeline.memory_limit:MemoryExhausted | raise `duckdb.memory_headroom` and restart it.": (
        "tests/unit/pipeline/test_memory_limit.py::"
        "test_a_process_that_is_refused_memory_ends_with_its_bound_and_works_with_a_larger_one"
    ),
    "connectors.errors:MissingColumn": (
        "tests/unit/remedies/test_records.py::test_a_log_without_a_column_is_read_once_the_column_is_removed",
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models",
    ),
    "connectors.errors:UnsupportedType": (
        "tests/unit/remedies/test_records.py::"
        "test_a_log_is_read_once_the_column_of_an_unsupported_type_is_removed_or_has_another"
    ),
    "connectors.errors:InexactDecimal": (
        "tests/unit/remedies/test_records.py::"
        "test_a_log_of_doubles_is_read_once_amounts_are_sent_in_text_or_rounded_ones_accepted"
    ),
    "connectors.kafka_connect:ConfigRejected": (
        "tests/integration/test_setup.py::test_a_connector_that_cannot_log_in_is_rejected_with_the_reason"
    ),
    "connectors.kafka_connect:ConnectError": (
        "tests/unit/remedies/test_servers.py::test_kafka_connect_obeys_once_its_address_has_the_user_and_the_password"
    ),
    "connectors.kafka_connect:ConnectUnavailable": (
        "tests/unit/remedies/test_servers.py::test_kafka_connect_answers_once_it_is_started_or_its_address_corrected"
    ),
    "connectors.kafka_connect:ConnectorMissing": (
        "tests/integration/test_continuity.py::test_init_creates_a_connector_that_is_missing"
    ),
    "connectors.kafka_connect:ConnectorNotReady": (
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
        "test_a_topic_that_differs_is_accepted_once_it_or_the_settings_are_altered_or_it_is_recreated"
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
    "pipeline.cli.output_formats:FormatCannotHold": (
        "tests/unit/remedies/test_command.py::"
        "test_a_column_that_parquet_cannot_hold_is_written_once_it_is_cast_or_in_another_format"
    ),
    "pipeline.config:load | Correct": (
        "tests/unit/remedies/test_settings.py::test_a_config_file_is_read_once_the_line_in_the_message_is_valid_toml"
    ),
    "pipeline.config:load | Create": (
        "tests/unit/remedies/test_settings.py::test_a_config_file_is_found_once_it_is_created_or_passed"
    ),
    "pipeline.config:load | Unset": (
        "tests/unit/remedies/test_settings.py::test_a_section_of_the_environment_is_taken_once_it_is_json_or_unset"
    ),
    "pipeline.postgres.slot_gap:SlotGap": (
        "tests/integration/test_continuity.py::test_a_slot_that_is_gone_is_refused_and_teardown_makes_a_new_beginning",
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap",
    ),
    "pipeline.invalid_definitions:InvalidDefinitions": (
        "tests/unit/remedies/test_settings.py::test_definitions_are_accepted_once_the_names_in_the_message_are_corrected"
    ),
    "pipeline.ingest.control_topic:ControlTopicMissing": (
        "tests/integration/test_kafka_remedies.py::test_requests_are_read_once_init_has_created_their_topic"
    ),
    "pipeline.epochs.opening:WorkersRunning": (
        "tests/integration/test_kafka_remedies.py::test_an_epoch_is_opened_once_the_workers_have_ended"
    ),
    "pipeline.invalid_config:remedy_of": (
        "tests/unit/remedies/test_settings.py::test_settings_are_complete_once_each_that_the_remedy_names_is_set",
        "tests/unit/remedies/test_settings.py::test_a_setting_is_taken_once_it_is_corrected_or_removed",
    ),
    "stack.server_user:server_user": (
        "tests/unit/remedies/test_stack.py::"
        "test_root_starts_servers_once_there_is_setpriv_and_an_ordinary_user_without_it"
    ),
    "stack.errors:ChecksumMismatch": (
        "tests/unit/remedies/test_stack.py::test_a_file_with_a_wrong_checksum_is_downloaded_again_once_it_is_deleted"
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
    "stack.paths:free_ports": (
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
    "pipeline.ingest.consumer:OffsetOutOfRange": (
        "tests/acceptance/test_epochs.py::"
        "test_a_log_that_lost_what_was_not_read_yet_stops_the_workers_and_a_snapshot_makes_up_for_it"
    ),
    "pipeline.epochs.opening:CannotContinue": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "sinks.elasticsearch.store:AliasesAstray": (
        "tests/integration/test_elasticsearch_generations.py::"
        "test_an_alias_of_the_wrong_index_is_reported_with_the_requests_that_correct_it"
    ),
    "pipeline.runtime.worker_pool:LiveGenerationGone": (
        "tests/acceptance/test_health.py::test_workers_whose_live_generation_is_gone_stop_with_a_remedy_that_works"
    ),
    "pipeline.health.checks:connector_runs": (
        "tests/acceptance/test_health.py::test_a_resting_connector_is_named_until_the_remedy_is_carried_out"
    ),
    "pipeline.health.checks:model_is_not_paused": (
        "tests/acceptance/test_health.py::test_a_paused_model_is_named_until_the_remedy_is_carried_out"
    ),
    "connectors.kafka_connect:ConnectorFailed": (
        "tests/integration/test_continuity.py::test_a_failed_connector_reports_the_reason_and_init_restarts_it"
    ),
    "pipeline.postgres.preconditions:_of_reading | GRANT USAGE": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.postgres.preconditions:_of_reading | GRANT SELECT": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.postgres.preconditions:_of_published | ALTER PUBLICATION {name} ADD": (
        "tests/integration/test_source_database.py::test_names_are_quoted_as_the_catalog_has_them"
    ),
    "pipeline.postgres.preconditions:_of_writing | ALTER PUBLICATION": (
        "tests/integration/test_source_database.py::test_generated_columns_that_stop_writers_are_found_with_what_frees_them"
    ),
    "pipeline.postgres.preconditions:_of_writing | ALTER TABLE": (
        "tests/integration/test_source_database.py::test_generated_columns_that_stop_writers_are_found_with_what_frees_them"
    ),
    "pipeline.generations.difference_remedy:remedy_of_unequal | Take a snapshot": (
        "tests/acceptance/test_columns.py::test_columns_come_and_go_and_every_model_is_rebuilt_equal"
    ),
    "pipeline.setup.snapshots:snapshot_findings | Run `readmodels init`, which has": (
        "tests/integration/test_snapshots.py::test_a_table_that_is_captured_later_is_read_then"
    ),
    "sinks.rejection": (
        "tests/integration/test_elasticsearch_rejections.py::"
        "test_a_refused_document_is_named_hidden_and_replaced_by_its_next_version"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Release the block: ": (
        "tests/integration/test_elasticsearch_rejections.py::"
        "test_a_block_of_the_index_is_waited_for_and_never_the_documents_fault"
    ),
    "sinks.elasticsearch.errors:IndexClosed": (
        "tests/integration/test_elasticsearch_remedies.py::"
        "test_a_closed_index_is_replaced_by_a_new_generation_or_opened_again"
    ),
    "sinks.redis.connection | Raise": (
        "tests/integration/test_redis_failures.py::test_a_server_without_memory_takes_the_batch_once_it_has_some"
    ),
    "pipeline.ingest.log_mismatch:EpochMismatch | If no change was lost": (
        "tests/acceptance/test_epochs.py::"
        "test_partitions_that_are_added_stop_the_workers_and_rows_may_move_between_them"
    ),
    "pipeline.ingest.log_mismatch:EpochMismatch | Changes may be missing": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "sinks.duckdb.errors:DuckdbBroken": (
        "tests/acceptance/test_damaged_generations.py::"
        "test_a_damaged_live_file_of_duckdb_stops_its_worker_and_the_replay_in_its_remedy_repairs_it"
    ),
    "pipeline.teardown.source:_shared": (
        "tests/integration/test_teardown.py::test_objects_that_two_deployments_share_are_removed_with_the_last_one"
    ),
    "pipeline.teardown.source:_holds": (
        "tests/integration/test_teardown.py::"
        "test_a_schema_with_a_table_of_another_application_stays_until_the_table_is_dropped"
    ),
    "pipeline.teardown.source:_other_publications": (
        "tests/integration/test_teardown.py::test_a_publication_that_init_did_not_create_stays_until_it_is_dropped"
    ),
    "pipeline.teardown.source:_not_dropped | Run `readmodels": (
        "tests/integration/test_teardown.py::"
        "test_a_role_goes_with_the_deployment_of_the_last_database_in_which_it_has_rights"
    ),
    "pipeline.teardown.source:_not_dropped | If nobody": (
        "tests/integration/test_teardown.py::"
        "test_a_role_that_init_did_not_create_loses_what_init_granted_and_stays_until_it_is_dropped"
    ),
    "pipeline.teardown.source:_unread": (
        "tests/integration/test_teardown.py::test_a_slot_that_nothing_reads_is_named_and_its_remedy_drops_it"
    ),
    "pipeline.teardown.models:_of_others": (
        "tests/unit/remedies/test_stores.py::"
        "test_files_of_another_deployment_are_left_alone_until_the_directory_is_corrected"
    ),
    "sinks.duckdb.removal:DirectoryInUse": (
        "tests/unit/remedies/test_stores.py::test_a_directory_is_removed_once_the_worker_that_holds_it_has_ended"
    ),
    "pipeline.ingest.groups:GroupInUse": (
        "tests/integration/test_kafka_remedies.py::test_a_consumer_group_is_removed_once_its_workers_have_ended"
    ),
    "pipeline.ingest.key_text:UnfitKey": (
        "tests/integration/test_key_columns.py::test_a_key_that_workers_refuse_is_named_by_init_with_what_makes_it_one"
    ),
    "pipeline.postgres.preconditions:_of_publication | Run `readmodels": (
        "tests/integration/test_source_remedies.py::test_a_publication_that_is_gone_is_made_by_init"
    ),
    "pipeline.verify.readers.redis:GenerationMoved": (
        "tests/integration/test_redis_generations.py::"
        "test_a_generation_that_moved_while_it_was_verified_is_read_where_readers_see_it"
    ),
    "pipeline.health.checks:worker_runs | Start it again: `readmodels": (
        "tests/unit/pipeline/health/test_checks.py::"
        "test_a_worker_that_is_restarted_as_its_remedy_requires_is_no_problem"
    ),
    "pipeline.health.checks:changes_are_applied | Stop its": (
        "tests/unit/pipeline/health/test_checks.py::"
        "test_a_worker_that_is_restarted_as_its_remedy_requires_is_no_problem"
    ),
    "pipeline.health.checks:slot_is_read | Run `readmodels init`: it resumes": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "pipeline.health.checks:slot_is_read | Run `readmodels init`: it prints": (
        "tests/acceptance/test_epochs.py::"
        "test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap"
    ),
    "pipeline.postgres.preconditions:_of_slot | Run `readmodels epoch": (
        "tests/acceptance/test_epochs.py::"
        "test_a_log_that_lost_what_was_not_read_yet_stops_the_workers_and_a_snapshot_makes_up_for_it"
    ),
    "connectors.errors:MissingBeforeImage": (
        "tests/acceptance/test_source_changes.py::"
        "test_records_that_cannot_be_read_are_left_behind_by_a_new_epoch_and_what_the_demo_missed_is_made_up_for"
    ),
    "connectors.errors:UnreadableRecord": (
        "tests/acceptance/test_source_changes.py::"
        "test_records_that_cannot_be_read_are_left_behind_by_a_new_epoch_and_what_the_demo_missed_is_made_up_for"
    ),
    "pipeline.cli.demo_screen:DemoFailed": (
        "tests/acceptance/test_source_changes.py::"
        "test_records_that_cannot_be_read_are_left_behind_by_a_new_epoch_and_what_the_demo_missed_is_made_up_for"
    ),
    "pipeline.epochs.guard:TopicNotFound": (
        "tests/integration/test_kafka_remedies.py::test_a_topic_that_is_gone_is_made_by_init_and_is_another_one"
    ),
    "pipeline.cli.generations:_remedy | Run `readmodels replay": (
        "tests/acceptance/test_damaged_generations.py::"
        "test_a_damaged_live_file_of_duckdb_stops_its_worker_and_the_replay_in_its_remedy_repairs_it"
    ),
    "pipeline.cli.generations:_remedy | Run `readmodels prune": (
        "tests/acceptance/test_damaged_generations.py::"
        "test_a_damaged_live_file_of_duckdb_stops_its_worker_and_the_replay_in_its_remedy_repairs_it"
    ),
    "pipeline.generations.replay_in_place:OffsetBeyondEnd": (
        "tests/acceptance/test_replay.py::test_an_offset_beyond_the_log_is_replaced_by_one_that_the_plan_shows"
    ),
    "pipeline.generations.cutover:GenerationCatchUpTimeout": (
        "tests/acceptance/test_replay.py::test_scripts_receive_events_and_a_cutover_is_repeated_once_the_workers_resume"
    ),
    "pipeline.generations.cutover:GenerationNotServable": (
        "tests/acceptance/test_replay.py::test_readers_are_not_affected_by_a_replay_a_cutover_a_rollback_and_a_second_cutover"
    ),
    "pipeline.generations.cutover:NoPreviousGeneration": (
        "tests/acceptance/test_replay.py::test_readers_are_not_affected_by_a_replay_a_cutover_a_rollback_and_a_second_cutover"
    ),
    "pipeline.generations.difference_remedy:remedy_of_unequal | `readmodels verify": (
        "tests/acceptance/test_replay.py::test_a_wrong_projection_is_found_and_never_shown"
    ),
    "pipeline.log_scan.finding | Run `readmodels init`, which creates": (
        "tests/integration/test_survey_snapshots.py::test_rows_of_an_aborted_snapshot_are_swept_from_a_rebuild"
    ),
    "pipeline.log_scan.finding | Wait until": (
        "tests/integration/test_survey_snapshots.py::test_rows_of_an_aborted_snapshot_are_swept_from_a_rebuild"
    ),
    "pipeline.setup.snapshots:snapshot_findings | Wait for": (
        "tests/integration/test_survey_snapshots.py::test_rows_of_an_aborted_snapshot_are_swept_from_a_rebuild"
    ),
    "pipeline.setup.snapshots:snapshot_findings | Run `readmodels init`, which waits": (
        "tests/integration/test_survey_snapshots.py::test_rows_of_an_aborted_snapshot_are_swept_from_a_rebuild"
    ),
    "pipeline.log_scan.finding | Run `readmodels init`, which lets": (
        "tests/integration/test_snapshots.py::test_a_table_that_is_captured_later_is_read_then"
    ),
    "sinks.errors:GenerationBroken": (
        "tests/integration/test_redis_generations.py::"
        "test_a_generation_whose_metadata_is_damaged_gives_way_to_the_one_that_a_replay_builds"
    ),
    "pipeline.log_scan.finding | Free or add": (
        "tests/integration/test_redis_generations.py::test_a_rebuild_has_room_once_unneeded_generations_are_pruned"
    ),
    "pipeline.log_scan.finding | Monitor the": (
        "tests/integration/test_redis_generations.py::test_a_rebuild_has_room_once_unneeded_generations_are_pruned"
    ),
    "pipeline.log_scan.finding | `retention.ms=-1` and `retention.bytes=-1`.": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
    "pipeline.log_scan.finding | `retention.ms=-1` for the topics.": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
    "pipeline.log_scan.finding | Declare in": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
    "pipeline.log_scan.finding | Stop the": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
    "pipeline.log_scan.finding | Restore the": (
        "tests/acceptance/test_epochs.py::"
        "test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models"
    ),
}

CHECKED: tuple[str, ...] = (
    "pipeline.health.checks:worker_runs | Then start it again: `readmodels run {model}`.",
    "sinks.errors:GenerationMissing",
    "pipeline.runtime.process:TopicsMissing",
    "pipeline.log_scan.finding | Correct the",
    "pipeline.generations.earlier_columns:_told",
    "pipeline.cli.setup:TeardownIncomplete",
    "pipeline.teardown.found:told",
    "pipeline.teardown.connectors:_of_others",
    "pipeline.teardown.log:_unproven",
    "pipeline.teardown.models:_find_model",
    "pipeline.teardown.models:find_copies",
    "pipeline.teardown.models:_unproven",
)

CHECKED_BECAUSE: Mapping[str, str] = {
    "pipeline.postgres.incremental_snapshot:SnapshotUnsupported": (
        "a new epoch is opened by other tests; its snapshot is the connector's first one, which reads these columns"
    ),
    "pipeline.postgres.incremental_snapshot:SnapshotFailed": (
        "no way is known to have a connector give up a snapshot at a moment that a test chooses"
    ),
    "pipeline.log_scan.finding | Do not use the log": (
        "only a connector that was recreated by hand takes a second initial snapshot in one epoch"
    ),
    "pipeline.postgres.preconditions:_of_database | ALTER SYSTEM": (
        "PostgreSQL has to be restarted, which all tests share"
    ),
    "pipeline.postgres.preconditions:_of_slot | Run `readmodels init": (
        "the WAL of the PostgreSQL that all tests share would have to be limited"
    ),
    "pipeline.ingest.log_reader:LogStalled": "a broker ends a hanging transaction after a minute at the earliest",
    "pipeline.runtime.watchdog:Watchdog._give_up": (
        "a store that hangs for longer than a budget would hold up the tests"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Free disk": (
        "the disk of the node that all tests share would have to be full"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Give Elasticsearch": (
        "the node that all tests share would have to be started with another heap"
    ),
    "sinks.elasticsearch.client:_remedy_of_block | Correct the user": (
        "the node of the local stack has no users; the refusal itself is tested"
    ),
    "pipeline.ingest.consumer:ConsumerFailed": (
        "the tests' brokers authorize everybody, and refuse no consumer for good"
    ),
    "pipeline.epochs.snapshot_end:SnapshotEndUnknown": (
        "no log is known that ends so; `tests/acceptance/test_verify.py::"
        "test_damaged_rows_are_named_and_repaired_while_no_process_holds_the_files` removes such rows with these "
        "commands"
    ),
    "pipeline.cli.verify": (
        "no difference is known that a repair leaves; `tests/acceptance/test_replay.py::"
        "test_a_model_that_was_damaged_is_rebuilt_and_equal` mends a damaged model with this command"
    ),
}
"""Remedies that no test carries out, each with the reason."""

NOTHING_TO_DO: tuple[str, ...] = (
    "pipeline.health.checks:generation_is_filled",
    "pipeline.postgres.incremental_snapshot:SnapshotStopped",
    "pipeline.health.checks:changes_are_applied | Nothing",
    "pipeline.health.checks:worker_runs | Nothing",
    "sinks.errors:OffsetGap",
    "sinks.duckdb.store:FileReplaced",
    "sinks.duckdb.store:WriterLockHeld",
    "pipeline.log_scan.finding | Nothing to do: the",
    "pipeline.log_scan.finding | Nothing to do: older",
    "pipeline.log_scan.finding | Nothing to do if",
)
