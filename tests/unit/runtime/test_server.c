/*
 * Which configurations need ports below 1024 after the drop of privileges.
 */
#include "runtime/server.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/site.h"

Test(load, finds_low_ports)
{
	static const struct {
		const char *accept;
		bool expect;
	} rows[] = {
		{ "443", true },
		{ "127.0.0.1:1023", true },
		{ "127.0.0.1:8443, [::1]:1", true },
		{ "127.0.0.1:1024", false },
		{ "127.0.0.1:0", false },
		{ "unix:a.sock", false },
	};
	const struct config *config;
	struct site site;
	char text[256];

	site_open(&site, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
		    "[listener a]\naccept = %s\nconnect = 1\n"
		    "cert = cert.pem\n",
		    rows[i].accept);
		config = site_config(&site, text);
		cr_expect_eq(load_needs_low_ports(config), rows[i].expect, "%s",
		    rows[i].accept);
		config_unref(config);
	}
	site_close(&site);
}
