/* The vocabulary: a word, a class and a sentence for each outcome. */
#include "staple/outcome.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "base/attr.h"

#define NONE STAPLE_CLASS_NONE
#define ANSWER STAPLE_CLASS_ANSWER
#define METHOD STAPLE_CLASS_METHOD
#define HASH STAPLE_CLASS_HASH
#define URL STAPLE_CLASS_URL

/* In the order of the enumeration: words that manuals and alarms rely on. */
static const struct {
	const char *name;
	enum staple_class class;
} outcomes[] = {
	{ "unasked", NONE },
	{ "good", ANSWER },
	{ "unchanged", ANSWER },
	{ "revoked", ANSWER },
	{ "unknown", HASH },
	{ "no_responder", NONE },
	{ "no_issuer", URL },
	{ "certificate_expired", NONE },
	{ "bad_url", URL },
	{ "name_not_found", URL },
	{ "name_timeout", URL },
	{ "connection_refused", URL },
	{ "unreachable", URL },
	{ "connection_reset", URL },
	{ "tls_failed", URL },
	{ "proxy_denied", URL },
	{ "timeout_connect", URL },
	{ "timeout_headers", URL },
	{ "timeout_body", URL },
	{ "slow_drip", URL },
	{ "http_4xx", METHOD },
	{ "http_5xx", METHOD },
	{ "http_other", METHOD },
	{ "redirect_loop", METHOD },
	{ "redirect_refused", METHOD },
	{ "not_ocsp", METHOD },
	{ "empty", METHOD },
	{ "truncated", METHOD },
	{ "too_large", URL },
	{ "malformed", METHOD },
	{ "trailing_bytes", METHOD },
	{ "malformed_request", URL },
	{ "internal_error", URL },
	{ "try_later", URL },
	{ "sig_required", URL },
	{ "unauthorized", HASH },
	{ "wrong_certificate", URL },
	{ "wrong_signer", URL },
	{ "bad_signature", URL },
	{ "weak_signature", URL },
	{ "expired", URL },
	{ "not_yet_valid", URL },
	{ "contradictory", URL },
	{ "too_large_to_staple", URL },
	{ "older", URL },
	{ "file_unreadable", URL },
	{ "no_memory", URL },
};

Test(outcome, has_a_word_of_its_own)
{
	cr_assert_eq(ARRAY_LEN(outcomes), STAPLE_OUTCOMES);
	for (int i = 0; i < STAPLE_OUTCOMES; i++)
		cr_expect_str_eq(
		    staple_outcome_name(i), outcomes[i].name, "%d", i);
}

Test(outcome, decides_the_next_step)
{
	for (int i = 0; i < STAPLE_OUTCOMES; i++)
		cr_expect_eq(staple_outcome_class(i), outcomes[i].class, "%s",
		    outcomes[i].name);
}

Test(outcome, is_a_failure_unless_answered_or_not_requested)
{
	for (int i = 0; i < STAPLE_OUTCOMES; i++)
		cr_expect_eq(staple_outcome_is_failure(i),
		    outcomes[i].class != NONE && outcomes[i].class != ANSWER,
		    "%s", outcomes[i].name);
}

/* Clauses that can be joined to others: no capital, no full stop. */
static bool
is_clause(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && !isspace(text[len - 1]) && text[len - 1] != '.' &&
	       (!isupper(text[0]) || isupper(text[1]));
}

Test(outcome, has_a_sentence_of_its_own)
{
	for (int i = 0; i < STAPLE_OUTCOMES; i++) {
		const char *sentence = staple_outcome_sentence(i);

		cr_expect(is_clause(sentence), "%s", outcomes[i].name);
		for (int j = 0; j < i; j++)
			cr_expect_str_neq(sentence, staple_outcome_sentence(j));
	}
}

Test(outcome, comes_with_advice_where_a_person_can_help)
{
	cr_expect_str_eq(staple_outcome_advice(STAPLE_GOOD), "");
	cr_expect_str_eq(staple_outcome_advice(STAPLE_TRY_LATER), "");
	for (int i = 0; i < STAPLE_OUTCOMES; i++) {
		const char *advice = staple_outcome_advice(i);

		cr_expect(advice[0] == '\0' || is_clause(advice), "%s",
		    outcomes[i].name);
	}
	cr_expect_not_null(
	    strstr(staple_outcome_advice(STAPLE_NOT_YET_VALID), "clock"));
	cr_expect_not_null(
	    strstr(staple_outcome_advice(STAPLE_NO_ISSUER), "chain"));
}

Test(outcome, of_a_newer_application_is_a_question_mark)
{
	cr_expect_str_eq(staple_outcome_name(STAPLE_OUTCOMES), "?");
	cr_expect_eq(staple_outcome_class(STAPLE_OUTCOMES), NONE);
	cr_expect_not(staple_outcome_is_failure(STAPLE_OUTCOMES));
	cr_expect_str_eq(staple_unsent_name(STAPLE_UNSENT_REASONS), "?");
}

Test(outcome, has_a_word_for_each_reason_to_send_nothing)
{
	static const char *const words[] = { "unwanted", "none", "expired",
		"not_yet_valid", "not_first", "revoked", "no_memory" };

	cr_assert_eq(ARRAY_LEN(words), STAPLE_UNSENT_REASONS);
	for (int i = 0; i < STAPLE_UNSENT_REASONS; i++)
		cr_expect_str_eq(staple_unsent_name(i), words[i]);
}
