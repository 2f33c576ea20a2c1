/*
 * Files written for stunnel: keys that work, notes, errors.
 */
#include <stdio.h>

#include "unit/config/reading.h"

#define SERVICE(name)        \
	"[" name "]\n"       \
	"  accept = 0\n"     \
	"  connect = 8080\n" \
	"  cert = /etc/s.pem\n"

Test(stunnel, runs_services_as_they_stand)
{
	const struct config *config = read_good(
	    "; global\nsetuid = stunnel4\npid = /run/s.pid\ndebug = info\n"
	    "foreground = no\nTIMEOUTidle = 600\nsslVersionMin = TLSv1.2\n"
	    "[https]\n   accept = :::8443\n   connect = 80\n"
	    "   cert = /etc/s.pem\n   TIMEOUTclose = 0\n"
	    "[imaps]\n\taccept = 993\n\tconnect = a:143\n\tconnect = b:143\n"
	    "\tfailover = rr\n\tcert = /etc/s.pem\n\tkey = /etc/s.key\n"
	    "\tsslVersionMin = TLSv1.3\n\tclient = no\n");
	const struct config_listener *listeners = config->listeners;

	cr_assert_eq(config->listener_count, 2);
	cr_expect_str_eq(config->user, "stunnel4");
	cr_expect_str_eq(config->pid_file, "/run/s.pid");
	cr_expect_eq(config->log.level, LEVEL_INFO);
	cr_expect_str_eq(listeners[0].name, "https");
	cr_expect_eq(listeners[0].timeout_idle_ms, 600000);
	cr_expect_eq(listeners[0].timeout_close_ms, 0);
	cr_expect_eq(listeners[1].timeout_close_ms, 60000);
	cr_expect_eq(listeners[1].timeout_handshake_ms, 300000);
	cr_expect_eq(listeners[1].connect.count, 2);
	cr_expect_eq(listeners[1].balance, BALANCE_RR);
	cr_expect_eq(listeners[1].min_version, TLS_VERSION_1_3);
	cr_expect(listeners[1].accept.items[0].any_family);
	config_unref(config);
}

Test(stunnel, notes_each_difference_once)
{
	const struct config *config = read_good(
	    "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
	    "compression = zlib\n" SERVICE("a"));

	cr_assert_eq(config->notes.count, 5);
	cr_expect_not_null(strstr(config->notes.items[0], "foreground"));
	cr_expect_not_null(strstr(config->notes.items[1], "IPv4 and IPv6"));
	cr_expect_not_null(strstr(config->notes.items[2], "TLS 1.2"));
	cr_expect_not_null(strstr(config->notes.items[3],
	    "without ciphers, fewer are offered than by stunnel"));
	cr_expect_str_eq(config->notes.items[4],
	    "t.ini: these keys have no effect here: socket, compression");
	config_unref(config);
}

Test(stunnel, maps_socket_options)
{
	const struct config *config = read_good(
	    "socket = a:IP_FREEBIND=yes\nsocket = l:SO_KEEPALIVE=1\n" SERVICE(
		"a") "socket = a:SO_BINDTODEVICE=eth0\n");

	cr_expect(config->listeners[0].bind_early);
	cr_expect_str_eq(config->listeners[0].device, "eth0");
	cr_expect_not_null(strstr(
	    config->notes.items[config->notes.count - 1], "use keepalive"));
	config_unref(config);
}

Test(stunnel, refuses_socket_options_that_have_an_effect)
{
	static const char *const options[] = { "r:SO_BINDTODEVICE=eth0",
		"r:IP_FREEBIND=yes", "l:IP_TOS=16", "a:IPV6_V6ONLY=1",
		"a:IP_FREEBIND=perhaps", "TCP_NODELAY" };
	char text[256];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(text, sizeof(text), SERVICE("a") "socket = %s\n",
		    options[i]);
		expect_error(options[i], text, "t.ini:5: socket");
	}
}

Test(stunnel, keeps_the_defaults_of_clinch_beside_its_sections)
{
	const struct config *config = read_good(
	    "[global]\nthreads = 1\n" SERVICE("a"));

	cr_expect_eq(config->listeners[0].timeout_handshake_ms, 10000);
	cr_expect_eq(config->notes.count, 0);
	config_unref(config);
}

/* [NAME] without a key of stunnel is a listener. */
Test(stunnel, needs_a_key_or_a_path_of_stunnel)
{
	static const struct {
		const char *file, *given;
		unsigned handshake_s;
	} rows[] = {
		{ "clinch.ini", "", 10 },
		{ "clinch.ini", "timeout_idle = 1h\nlevel = info\n", 10 },
		{ "clinch.ini", "min_version = TLSv1.3\nworkers = 2\n", 10 },
		{ "clinch.ini", "foreground = yes\n", 300 },
		{ "clinch.ini", "TIMEOUTidle = 60\n", 300 },
		{ "clinch.ini", "timeoutidle = 60\n", 300 },
		{ "clinch.ini", "setuid = stunnel4\n", 300 },
		{ "clinch.ini", "options = NO_SSLv2\n", 300 },
		{ "clinch.ini", "cafile = /x\n", 300 },
		{ "clinch.ini", "foreground = yes\n[log]\n", 10 },
		{ "stunnel.conf", "", 300 },
		{ "/etc/stunnel5.ini", "", 300 },
		{ "/etc/stunnel/web.conf", "", 300 },
		{ "/etc/stunnel/old/web.conf", "", 10 },
		{ "/etc/stunnel4/../web.conf", "", 10 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_errors errors;
		const struct config *config;
		char text[256];

		snprintf(
		    text, sizeof(text), "%s" SERVICE("web"), rows[i].given);
		config = config_parse(
		    rows[i].file, text, strlen(text), &errors);
		cr_assert_not_null(
		    config, "%s: %s", rows[i].given, errors.list.items[0]);
		cr_expect_eq(config->listeners[0].timeout_handshake_ms,
		    rows[i].handshake_s * 1000, "%s: %s", rows[i].file,
		    rows[i].given);
		cr_expect_eq(config->notes.count > 0,
		    rows[i].handshake_s == 300, "%s: %s", rows[i].file,
		    rows[i].given);
		config_unref(config);
	}
}

Test(stunnel, notes_why_a_file_is_read_as_stunnels)
{
	const struct config *config = read_good(SERVICE("a") "client = no\n");

	cr_assert(config->notes.count > 0);
	cr_expect_not_null(strstr(config->notes.items[0],
	    "because of client, with stunnel's timeouts"));
	config_unref(config);
}

Test(stunnel, narrows_versions)
{
	static const struct {
		const char *what, *given;
		enum config_tls_version min, max;
	} rows[] = {
		{ "one version", "sslVersion = TLSv1.2\n", TLS_VERSION_1_2,
		    TLS_VERSION_1_2 },
		{ "all", "sslVersion = all\n", TLS_VERSION_1_2,
		    TLS_VERSION_ANY },
		{ "not 1.2", "options = NO_TLSv1_2\n", TLS_VERSION_1_3,
		    TLS_VERSION_ANY },
		{ "not 1.3", "options = NO_TLSv1_3\n", TLS_VERSION_1_2,
		    TLS_VERSION_1_2 },
		{ "old ones", "options = NO_SSLv2\noptions = NO_TLSv1\n",
		    TLS_VERSION_1_2, TLS_VERSION_ANY },
		{ "an option goes before a key",
		    "options = NO_TLSv1_2\nsslVersionMin = TLSv1.2\n",
		    TLS_VERSION_1_3, TLS_VERSION_ANY },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *config;

		snprintf(text, sizeof(text), SERVICE("a") "%s", rows[i].given);
		config = read_good(text);
		cr_expect(config->listeners[0].min_version == rows[i].min &&
			      config->listeners[0].max_version == rows[i].max,
		    "%s", rows[i].what);
		config_unref(config);
	}
}

Test(stunnel, adds_options_up_from_the_top)
{
	const struct config *config = read_good(
	    "options = NO_TLSv1_2\noptions = NO_TICKET\n" SERVICE(
		"a") "sslVersionMin = TLSv1.2\n");

	cr_expect_eq(config->listeners[0].min_version, TLS_VERSION_1_3);
	cr_expect_not(config->listeners[0].tickets);
	config_unref(config);
}

Test(stunnel, sends_the_log_to_syslog_unless_a_file_is_named)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "syslog", "syslog = yes\n" SERVICE("a"), "syslog" },
		{ "not", "syslog = no\n" SERVICE("a"), "stderr" },
		{ "a file too", "syslog = yes\noutput = /s.log\n" SERVICE("a"),
		    "/s.log" },
		{ "a file in [log]",
		    "[log]\noutput = /s.log\nsyslog = yes\n" SERVICE("a"),
		    "/s.log" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *config = read_good(rows[i].given);

		cr_expect_str_eq(
		    config->log.output, rows[i].expect, "%s", rows[i].what);
		config_unref(config);
	}
}

#define CLIENTS "stunnel checks client certificates with it: use"

Test(stunnel, refuses_keys_that_have_an_effect)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "client = yes\n", "t.ini:5: client: clinch is only a TLS" },
		{ "verifyPeer = x\n", "t.ini:5: verifyPeer: write yes" },
		{ "verifyPeer = yes\n", "t.ini:5: listener a verifies" },
		{ "verifyChain = x\n", "t.ini:5: verifyChain: " },
		{ "CApath = /ca\n", "t.ini:5: CApath: folders of" },
		{ "CRLpath = /crl\n", "t.ini:5: CRLpath: folders of" },
		{ "requireCert = yes\n", "t.ini:5: requireCert: nothing" },
		{ "requireCert = x\n", "t.ini:5: requireCert: " },
		{ "checkHost = x\n", "t.ini:5: allow_san does nothing" },
		{ "verify = 5\n", "t.ini:5: verify: \"5\" is not one of" },
		{ "verify = none\nverifyChain = yes\n",
		    "t.ini:6: verifyChain is already set in t.ini:5" },
		{ "options = CIPHER_SERVER\nclient = yes\n",
		    "t.ini:6: client: clinch is only a TLS" },
		{ "exec = /bin/x\n", "t.ini:5: exec: clinch starts no" },
		{ "chroot = /x\n", "t.ini:5: chroot: a reload" },
		{ "libwrap = yes\n", "t.ini:5: libwrap: use allow and" },
		{ "protocol = smtp\n", "t.ini:5: protocol: STARTTLS" },
		{ "PSKsecrets = /x\n", "t.ini:5: PSKsecrets: pre-shared" },
		{ "OCSP = http://o/\n",
		    "t.ini:5: OCSP: \"http://o/\" is not a mode: stunnel checks "
		    "client certificates" },
		{ "OCSPaia = yes\n", "t.ini:5: OCSPaia: " CLIENTS },
		{ "OCSPflag = x\n", "t.ini:5: OCSPflag: " CLIENTS },
		{ "OCSPnonce = yes\n", "t.ini:5: OCSPnonce: " CLIENTS },
		{ "OCSPrequire = yes\n", "t.ini:5: OCSPrequire: " CLIENTS },
		{ "TIMEOUTocsp = 5\n", "t.ini:5: TIMEOUTocsp: " CLIENTS },
		{ "sni = a:b\n", "t.ini:5: sni: a name has a section" },
		{ "renegotiation = yes\n", "t.ini:5: renegotiation: " },
		{ "options = -NO_SSLv3\n", "t.ini:5: options = -NO_SSLv3" },
		{ "sslVersion = TLSv1\n", "t.ini:5: sslVersion: TLSv1 is" },
		{ "syslog = perhaps\n", "t.ini:5: syslog: " },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), SERVICE("a") "%s", rows[i].given);
		expect_error(rows[i].given, text, rows[i].expect);
	}
}

Test(stunnel, accepts_the_same_keys_with_no)
{
	const struct config *config = read_good(
	    "fips = no\n" SERVICE("a") "client = no\nverifyChain = no\n"
				       "libwrap = no\nrenegotiation = no\n"
				       "requireCert = no\nverifyPeer = no\n"
				       "OCSPaia = no\nOCSPnonce = no\n"
				       "delay = yes\n");

	cr_expect_eq(config->notes.count, 4);
	config_unref(config);
}

Test(stunnel, translates_keys_about_clients)
{
	const struct config *config = read_good(
	    "CAfile = /ca.pem\nCRLfile = /crl.pem\n" SERVICE(
		"a") "verifyChain = yes\nrequireCert = yes\n"
		     "checkHost = *.b\ncheckHost = c\n"
		     "checkEmail = d@e\ncheckIP = ::1\n"
		     "protocol = proxy\n");
	const struct config_listener *a = &config->listeners[0];
	static const char *const sans[] = { "dns:*.b", "dns:c", "email:d@e",
		"ip:::1" };

	cr_expect_eq(a->verify, VERIFY_REQUIRE);
	cr_expect_eq(line_of(a->places, KEY_VERIFY), 7);
	cr_expect_str_eq(a->ca_file, "/ca.pem");
	cr_expect_str_eq(a->crl_file, "/crl.pem");
	cr_expect_eq(a->proxy_out, PROXY_OUT_V1);
	cr_assert_eq(a->allow_san.count, ARRAY_LEN(sans));
	for (size_t i = 0; i < ARRAY_LEN(sans); i++)
		cr_expect_str_eq(a->allow_san.items[i], sans[i]);
	config_unref(config);
}

Test(stunnel, translates_levels_of_verify)
{
	static const struct {
		const char *given;
		enum config_verify expect;
		unsigned line;
	} rows[] = {
		{ "verify = 0\n", VERIFY_NONE, 6 },
		{ "verify = 1\n", VERIFY_OPTIONAL, 6 },
		{ "verify = 2\n", VERIFY_REQUIRE, 6 },
		{ "verify = 3\n", VERIFY_PINNED, 6 },
		{ "verify = 4\n", VERIFY_PINNED, 6 },
		{ "verify = pinned\n", VERIFY_PINNED, 6 },
		{ "verifyPeer = yes\n", VERIFY_PINNED, 6 },
		{ "verifyPeer = yes\nrequireCert = yes\n", VERIFY_PINNED, 6 },
		{ "verifyChain = yes\nverifyPeer = yes\n", VERIFY_PINNED, 7 },
		{ "verifyPeer = yes\nverifyChain = yes\n", VERIFY_PINNED, 6 },
		{ "verifyChain = yes\nverifyPeer = no\n", VERIFY_REQUIRE, 6 },
		{ "verify = 2\nverifyPeer = yes\n", VERIFY_PINNED, 7 },
		{ "verify = 2\nverifyChain = yes\n", VERIFY_REQUIRE, 7 },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config;

		snprintf(text, sizeof(text), "CAfile = /ca\n" SERVICE("a") "%s",
		    rows[i].given);
		config = read_good(text);
		cr_expect_eq(config->listeners[0].verify, rows[i].expect, "%s",
		    rows[i].given);
		cr_expect_eq(line_of(config->listeners[0].places, KEY_VERIFY),
		    rows[i].line, "%s", rows[i].given);
		config_unref(config);
	}
}

Test(stunnel, numbers_services_of_one_name)
{
	const struct config *config = read_good(
	    "retry = yes\n" SERVICE("a") SERVICE("b") SERVICE("a")
		SERVICE("a") "[x]\nsni = a:w.b\nconnect = 1\n");
	static const char *const names[] = { "a", "b", "a#2", "a#3" };

	cr_assert_eq(config->listener_count, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		cr_expect_str_eq(config->listeners[i].name, names[i]);
	cr_expect_eq(config->listeners[0].host_count, 1);
	cr_expect_str_eq(config->notes.items[4],
	    "t.ini:10: there is another service of this name: this one is "
	    "called a#2 in logs");
	config_unref(config);
	expect_error("ours", LISTENER("a") LISTENER("a"),
	    "t.ini:5: there is already a listener a in t.ini:1");
}

/* Without ::1, localhost is one address, which must be free. */
Test(stunnel, leaves_an_address_of_localhost_to_another_listener)
{
	static const char one[] = "[a]\naccept = localhost:8443\nconnect = 1\n"
				  "cert = /s\n";
	static const char other[] = "[b]\naccept = 127.0.0.1:https-alt\n"
				    "connect = 1\ncert = /s\n";
	const struct config *config = read_good(one);
	char text[256];
	bool both = config->listeners[0].accept.count == 2;
	struct config_errors errors;

	config_unref(config);
	for (int swapped = 0; both && swapped < 2; swapped++) {
		const struct config_accepts *list;

		snprintf(text, sizeof(text), "%s%s", swapped ? other : one,
		    swapped ? one : other);
		config = read_good(text);
		list = &config->listeners[swapped].accept;
		cr_assert_eq(list->count, 1);
		cr_expect_eq(list->items[0].addr.sa.sa_family, AF_INET6);
		cr_expect_eq(config->listeners[!swapped].accept.count, 1);
		cr_assert_eq(config->notes.count, 1);
		cr_expect_not_null(strstr(config->notes.items[0],
		    "listener a leaves 127.0.0.1:8443 to the listener"));
		config_unref(config);
	}
	snprintf(text, sizeof(text), "%s[b]%s", one, one + 3);
	cr_expect_null(read_text(text, &errors));
	config_errors_free(&errors);
}

Test(stunnel, takes_the_order_of_ciphers)
{
	const struct config *config = read_good(
	    SERVICE("a") "options = CIPHER_SERVER_PREFERENCE\n" SERVICE("b"));

	cr_expect_eq(config->listeners[0].server_order, SERVER_ORDER_YES);
	cr_expect_eq(config->listeners[1].server_order, SERVER_ORDER_AUTO);
	config_unref(config);
}

Test(stunnel, makes_a_host_of_a_service_with_sni)
{
	const struct config *config = read_good(
	    "[www]\nsni = https : WWW.b.\nconnect = 81\ncert = /w.pem\n" SERVICE(
		"https") "[any]\nsni = https:*.b\nconnect = 82\n");
	const struct config_listener *https = &config->listeners[0];

	cr_assert_eq(config->listener_count, 1);
	cr_assert_eq(https->host_count, 2);
	cr_expect_str_eq(https->hosts[0].name, "https");
	cr_expect_str_eq(https->hosts[0].pattern, "www.b");
	cr_expect_str_eq(https->hosts[0].certs.items[0].path, "/w.pem");
	cr_expect_str_eq(https->hosts[1].pattern, "*.b");
	cr_expect_str_eq(https->hosts[1].connect.items[0].text, "82");
	cr_expect_str_eq(https->hosts[1].certs.items[0].path, "/etc/s.pem");
	/* The file has stunnel's timeouts. */
	cr_expect_eq(https->hosts[0].timeout_handshake_ms, 300000);
	config_unref(config);
}

Test(stunnel, reports_errors_of_sni)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "sni = a\n", "t.ini:5: sni = a: write SERVICE:PATTERN" },
		{ "sni = :b\n", "t.ini:5: sni = :b: write SERVICE:PATTERN" },
		{ "sni = a:\n", "t.ini:5: sni = a:: write SERVICE:PATTERN" },
		{ "sni = b:c\n", "t.ini:5: there is no listener b" },
		{ "sni = a:1.2.3.4\n", "t.ini:5: host 1.2.3.4: an address" },
		{ "sni = a:b\nsni = a:c\n", "t.ini:8: sni: a name has a" },
		{ "sni = a:b\noptions = NO_TICKET\n",
		    "t.ini:8: options = NO_TICKET: tickets are a setting" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text),
		    SERVICE("a") "[h]\nconnect = 1\n%s", rows[i].given);
		expect_error(rows[i].given, text, rows[i].expect);
	}
}
