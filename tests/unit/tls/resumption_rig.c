/*
 * The rig of the tests of resumption.  What a configuration borrows lives in
 * the standing: strings of rows, and paths in the rig's folder.
 */
#include "tests/unit/tls/resumption_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/crl.h"

/* RIG_END_S */
#define END_TEXT "20400101000000Z"

struct rig rig;

static int64_t
tell_time(void *arg)
{
	return *(const int64_t *)arg;
}

static void
keep(const char *name, char *text)
{
	free(pki_write(&rig.folder, name, text));
	free(text);
}

static void
write_authorities(void)
{
	char *one = pki_certificate_pem(&rig.ca);
	char *two = pki_certificate_pem(&rig.other_ca);

	keep("both.pem", pki_join(one, two));
	keep("ca.pem", one);
	keep("other.pem", two);
	keep("brief.pem", pki_certificate_pem(&rig.brief_ca));
	keep("empty.crl", crl_pem(&(struct crl_wish){ .issuer = &rig.ca }));
	keep("revoked.crl", crl_pem(&(struct crl_wish){
				.issuer = &rig.ca, .revoked = &rig.client }));
	keep("brief.crl",
	    crl_pem(&(struct crl_wish){ .issuer = &rig.ca, .to = END_TEXT }));
}

static struct pki
make_client(const struct pki *issuer, const char *to)
{
	return pki_make(&(struct pki_wish){ .name = "client",
	    .san = "DNS:client.example",
	    .issuer = issuer,
	    .to = to });
}

static struct identity *
make_identity(void)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct identity *identity = link_identity(&made, "");

	pki_drop(&made);
	return identity;
}

void
rig_open(void)
{
	rig.now_ms = INT64_C(1700000000000);
	rig.keys = ticket_keys_new(NULL);
	cr_assert_not_null(rig.keys);
	ticket_keys_set_clock(rig.keys, tell_time, &rig.now_ms);
	pki_folder_make(&rig.folder);
	rig.ca = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	rig.other_ca = pki_make(
	    &(struct pki_wish){ .name = "Other", .ca = true });
	rig.brief_ca = pki_make(
	    &(struct pki_wish){ .name = "Brief", .ca = true, .to = END_TEXT });
	rig.client = make_client(&rig.ca, NULL);
	rig.brief = make_client(&rig.ca, END_TEXT);
	rig.heir = make_client(&rig.brief_ca, NULL);
	rig.shown = make_identity();
	write_authorities();
}

void
rig_renew(void)
{
	identity_unref(rig.shown);
	rig.shown = make_identity();
}

void
rig_close(void)
{
	identity_unref(rig.shown);
	pki_drop(&rig.client);
	pki_drop(&rig.brief);
	pki_drop(&rig.heir);
	pki_drop(&rig.ca);
	pki_drop(&rig.other_ca);
	pki_drop(&rig.brief_ca);
	pki_folder_remove(&rig.folder);
	ticket_keys_unref(rig.keys);
}

static struct config_strings
list_of(struct standing *standing, size_t site, size_t key, const char *word)
{
	char *copy = standing->words[site][key];

	if (word == NULL)
		return (struct config_strings){ 0 };
	snprintf(copy, sizeof(standing->words[site][key]), "%s", word);
	standing->items[site][key] = copy;
	return (struct config_strings){ &standing->items[site][key], 1 };
}

static void
settle(struct standing *standing, size_t i, const struct rule *rule,
    struct config_listener *settings)
{
	char(*paths)[96] = standing->paths[i];

	*settings = link_config();
	snprintf(paths[0], sizeof(paths[0]), "%s/%s", rig.folder.path,
	    rule->ca != NULL ? rule->ca : "ca.pem");
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", rig.folder.path,
	    rule->crl != NULL ? rule->crl : "");
	settings->name = rule->listener != NULL ? rule->listener : "test";
	settings->pattern = rule->pattern;
	settings->verify = rule->verify;
	settings->ca_file = rule->verify != VERIFY_NONE ? paths[0] : NULL;
	settings->crl_file = rule->crl != NULL ? paths[1] : NULL;
	settings->crl_check = rule->chain ? CRL_CHECK_CHAIN : CRL_CHECK_LEAF;
	settings->ciphers = rule->ciphers;
	settings->tickets = !rule->off;
	settings->allow_san = list_of(standing, i, 0, rule->allow);
	settings->allow_cn = list_of(standing, i, 1, rule->cn);
}

void
stand(struct standing *standing, const struct rule *rules, size_t count)
{
	cr_assert_leq(count, RIG_SITES);
	settle(standing, 0, &rules[0], &standing->listener);
	for (size_t i = 1; i < count; i++)
		settle(standing, i, &rules[i], &standing->hosts[i - 1]);
	standing->listener.hosts = standing->hosts;
	standing->listener.host_count = count - 1;
	standing->server = link_server_of(
	    &standing->listener, rig.shown, rig.keys);
}

void
fall(struct standing *standing)
{
	tls_server_unref(standing->server);
}

struct visitor
rig_visitor(size_t v, const char *name, const struct pki *pair)
{
	return (struct visitor){
		.version = link_versions[v].version, .name = name, .pair = pair
	};
}
