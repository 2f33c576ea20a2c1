/*
 * The words of every key that takes one of a few, for the table of keys.
 * Each ends with a NULL word; of several words for one number the first is
 * printed.  Constant; any thread.
 */
#ifndef CONFIG_CHOICES_H
#define CONFIG_CHOICES_H

#include "config/value.h"

extern const struct value_word choice_levels[];
extern const struct value_word choice_formats[];
extern const struct value_word choice_outputs[];
extern const struct value_word choice_access_outputs[];
extern const struct value_word choice_balances[];
extern const struct value_word choice_permissions[];
extern const struct value_word choice_profiles[];
extern const struct value_word choice_server_orders[];
extern const struct value_word choice_min_versions[];
extern const struct value_word choice_max_versions[];
extern const struct value_word choice_switches[];
extern const struct value_word choice_modes[];
extern const struct value_word choice_without_staple[];
extern const struct value_word choice_on_revoked[];
extern const struct value_word choice_methods[];
extern const struct value_word choice_sni_unknown[];
extern const struct value_word choice_verify[];
extern const struct value_word choice_crl_check[];
extern const struct value_word choice_client_purpose[];
extern const struct value_word choice_proxy_out[];
extern const struct value_word choice_proxy_tlv[];

#endif
