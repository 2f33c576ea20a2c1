/*
 * What may be written where one of a few words is asked for.  The first of
 * several words for one number is ours, the others are those people bring
 * along from elsewhere.  Any thread.
 */
#include "config/choices.h"

const struct value_word choice_levels[] = {
	{ "error", LEVEL_ERROR },
	{ "err", LEVEL_ERROR },
	{ "crit", LEVEL_ERROR },
	{ "alert", LEVEL_ERROR },
	{ "emerg", LEVEL_ERROR },
	{ "0", LEVEL_ERROR },
	{ "1", LEVEL_ERROR },
	{ "2", LEVEL_ERROR },
	{ "3", LEVEL_ERROR },
	{ "warning", LEVEL_WARNING },
	{ "warn", LEVEL_WARNING },
	{ "4", LEVEL_WARNING },
	{ "notice", LEVEL_NOTICE },
	{ "5", LEVEL_NOTICE },
	{ "info", LEVEL_INFO },
	{ "6", LEVEL_INFO },
	{ "debug", LEVEL_DEBUG },
	{ "7", LEVEL_DEBUG },
	{ NULL, 0 },
};

const struct value_word choice_formats[] = {
	{ "text", LOG_TEXT },
	{ "json", LOG_JSON },
	{ NULL, 0 },
};

const struct value_word choice_outputs[] = {
	{ "stderr", 0 },
	{ "stdout", 1 },
	{ "syslog", 2 },
	{ NULL, 0 },
};

const struct value_word choice_access_outputs[] = {
	{ "off", 0 },
	{ "same", 1 },
	{ "stdout", 2 },
	{ "stderr", 3 },
	{ "syslog", 4 },
	{ NULL, 0 },
};

const struct value_word choice_balances[] = {
	{ "prio", BALANCE_PRIO },
	{ "rr", BALANCE_RR },
	{ "roundrobin", BALANCE_RR },
	{ "round-robin", BALANCE_RR },
	{ NULL, 0 },
};

const struct value_word choice_permissions[] = {
	{ "warn", KEYS_WARN },
	{ "refuse", KEYS_REFUSE },
	{ "any", KEYS_ANY },
	{ NULL, 0 },
};

const struct value_word choice_profiles[] = {
	{ "intermediate", PROFILE_INTERMEDIATE },
	{ "modern", PROFILE_MODERN },
	{ NULL, 0 },
};

const struct value_word choice_server_orders[] = {
	{ "auto", SERVER_ORDER_AUTO },
	{ "yes", SERVER_ORDER_YES },
	{ "on", SERVER_ORDER_YES },
	{ "true", SERVER_ORDER_YES },
	{ "1", SERVER_ORDER_YES },
	{ "no", SERVER_ORDER_NO },
	{ "off", SERVER_ORDER_NO },
	{ "false", SERVER_ORDER_NO },
	{ "0", SERVER_ORDER_NO },
	{ NULL, 0 },
};

/* stunnel's "all" asks for as many as there are: as a floor, our lowest. */
const struct value_word choice_min_versions[] = {
	{ "TLSv1.2", TLS_VERSION_1_2 },
	{ "TLS1.2", TLS_VERSION_1_2 },
	{ "1.2", TLS_VERSION_1_2 },
	{ "all", TLS_VERSION_1_2 },
	{ "TLSv1.3", TLS_VERSION_1_3 },
	{ "TLS1.3", TLS_VERSION_1_3 },
	{ "1.3", TLS_VERSION_1_3 },
	{ NULL, 0 },
};

const struct value_word choice_max_versions[] = {
	{ "TLSv1.2", TLS_VERSION_1_2 },
	{ "TLS1.2", TLS_VERSION_1_2 },
	{ "1.2", TLS_VERSION_1_2 },
	{ "TLSv1.3", TLS_VERSION_1_3 },
	{ "TLS1.3", TLS_VERSION_1_3 },
	{ "1.3", TLS_VERSION_1_3 },
	{ "all", TLS_VERSION_ANY },
	{ NULL, 0 },
};

/* What `ocsp` says in [global], as a mode. */
const struct value_word choice_switches[] = {
	{ "yes", OCSP_MODE_AUTO },
	{ "on", OCSP_MODE_AUTO },
	{ "true", OCSP_MODE_AUTO },
	{ "1", OCSP_MODE_AUTO },
	{ "no", OCSP_MODE_NEVER },
	{ "off", OCSP_MODE_NEVER },
	{ "false", OCSP_MODE_NEVER },
	{ "0", OCSP_MODE_NEVER },
	{ NULL, 0 },
};

const struct value_word choice_modes[] = {
	{ "auto", OCSP_MODE_AUTO },
	{ "yes", OCSP_MODE_AUTO },
	{ "on", OCSP_MODE_AUTO },
	{ "true", OCSP_MODE_AUTO },
	{ "1", OCSP_MODE_AUTO },
	{ "must", OCSP_MODE_MUST },
	{ "always", OCSP_MODE_ALWAYS },
	{ "never", OCSP_MODE_NEVER },
	{ "no", OCSP_MODE_NEVER },
	{ "off", OCSP_MODE_NEVER },
	{ "false", OCSP_MODE_NEVER },
	{ "0", OCSP_MODE_NEVER },
	{ "prefer", OCSP_MODE_PREFER },
	{ NULL, 0 },
};

const struct value_word choice_without_staple[] = {
	{ "serve", OCSP_WITHOUT_SERVE },
	{ "refuse", OCSP_WITHOUT_REFUSE },
	{ NULL, 0 },
};

const struct value_word choice_on_revoked[] = {
	{ "exit", OCSP_REVOKED_EXIT },
	{ "refuse", OCSP_REVOKED_REFUSE },
	{ "staple", OCSP_REVOKED_STAPLE },
	{ NULL, 0 },
};

const struct value_word choice_methods[] = {
	{ "auto", OCSP_METHOD_AUTO },
	{ "post", OCSP_METHOD_POST },
	{ "get", OCSP_METHOD_GET },
	{ NULL, 0 },
};

const struct value_word choice_sni_unknown[] = {
	{ "default", SNI_DEFAULT },
	{ "reject", SNI_REJECT },
	{ NULL, 0 },
};

const struct value_word choice_verify[] = {
	{ "none", VERIFY_NONE },
	{ "0", VERIFY_NONE }, /* stunnel's levels */
	{ "optional", VERIFY_OPTIONAL },
	{ "1", VERIFY_OPTIONAL },
	{ "require", VERIFY_REQUIRE },
	{ "2", VERIFY_REQUIRE },
	{ "pinned", VERIFY_PINNED },
	{ "3", VERIFY_PINNED },
	{ "4", VERIFY_PINNED },
	{ NULL, 0 },
};

const struct value_word choice_crl_check[] = {
	{ "available", CRL_CHECK_AVAILABLE },
	{ "leaf", CRL_CHECK_LEAF },
	{ "chain", CRL_CHECK_CHAIN },
	{ NULL, 0 },
};

const struct value_word choice_client_purpose[] = {
	{ "client", CLIENT_PURPOSE_CLIENT },
	{ "any", CLIENT_PURPOSE_ANY },
	{ NULL, 0 },
};

const struct value_word choice_proxy_out[] = {
	{ "off", PROXY_OUT_OFF },
	{ "no", PROXY_OUT_OFF },
	{ "v1", PROXY_OUT_V1 },
	{ "v2", PROXY_OUT_V2 },
	{ NULL, 0 },
};

const struct value_word choice_proxy_tlv[] = {
	{ "none", 0 },
	{ "authority", PROXY_TLV_AUTHORITY },
	{ "alpn", PROXY_TLV_ALPN },
	{ "ssl", PROXY_TLV_SSL },
	{ "cn", PROXY_TLV_CN },
	{ "cert", PROXY_TLV_CERT },
	{ "crc32c", PROXY_TLV_CRC32C },
	{ "unique_id", PROXY_TLV_UNIQUE_ID },
	{ NULL, 0 },
};
