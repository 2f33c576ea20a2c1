"""Every metric of GET /metrics, by family.  scripts/check-prometheus compares
what etc/prometheus and etc/grafana use with it; test_51_metric_names compares it
with the real endpoint."""

METRICS = {
    "clinch_backend_errors_total",
    "clinch_backend_up",
    "clinch_build_info",
    "clinch_bytes_total",
    "clinch_certificate_not_after_timestamp_seconds",
    "clinch_certificate_not_before_timestamp_seconds",
    "clinch_clock_timestamp_seconds",
    "clinch_connections",
    "clinch_connections_total",
    "clinch_crl_next_update_timestamp_seconds",
    "clinch_handshake_duration_seconds",
    "clinch_handshakes_total",
    "clinch_last_reload_successful",
    "clinch_log_lines_dropped_total",
    "clinch_ready",
    "clinch_reloads_total",
    "clinch_staple_fetches_total",
    "clinch_staple_last_success_timestamp_seconds",
    "clinch_staple_next_fetch_timestamp_seconds",
    "clinch_staple_next_update_timestamp_seconds",
    "clinch_staple_state",
    "clinch_staple_this_update_timestamp_seconds",
    "clinch_staple_wanted",
    "clinch_staples_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
}
HISTOGRAMS = {"clinch_handshake_duration_seconds"}


def names():
    """Names of samples: a histogram has three."""
    parts = {f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count")}
    return (METRICS - HISTOGRAMS) | parts
