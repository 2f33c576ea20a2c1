/*
 * Both ends of a connection, see conn_rig.h.  Every exchange is a bounded
 * number of turns: bytes in a Unix socket can be read at once, so that a fixed
 * number of turns suffices and no test depends on time.
 */
#include "conn_rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "config/config.h"
#include "proxy/backend.h"
#include "proxy/conn_inner.h"
#include "proxy/limit.h"
#include "proxy/service.h"
#include "proxy/stats.h"
#include "tests/support/link.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

enum { TURNS = 8, ROUNDS = 10000 };

/* ---- making it ---- */

static int
listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

static const struct config *
make_config(const struct rig *rig, const char *keys)
{
	const char *folder = rig->folder.path;
	struct config_errors errors = { 0 };
	const struct config *config;
	char name[96], text[1024];

	snprintf(name, sizeof(name), "%s/rig.ini", folder);
	snprintf(text, sizeof(text),
	    "[web]\naccept = 127.0.0.1:0\nconnect = unix:%s/backend\n"
	    "cert = pair.pem\n%s\n",
	    folder, keys);
	config = config_parse(name, text, strlen(text), &errors);
	cr_assert_not_null(config, "%s",
	    errors.list.count > 0 ? errors.list.items[0] : "no reason");
	config_errors_free(&errors);
	return config;
}

static void
add_site(struct rig *rig, const struct config_listener *settings)
{
	struct backends *backends = backends_new(settings, NULL);

	cr_assert_not_null(backends);
	service_add(rig->service, settings, backends);
	backends_unref(backends);
}

static void
make_service(struct rig *rig)
{
	const struct config_listener *listener = &rig->config->listeners[0];

	rig->keys = ticket_keys_new(NULL);
	cr_assert_not_null(rig->keys);
	rig->tls = link_server(listener, PKI_P256, rig->keys);
	rig->process = limit_process_new();
	rig->limit = limit_new(rig->process);
	rig->stats = stats_new(1);
	cr_assert_not_null(rig->stats);
	rig->service = service_new(
	    rig->config, listener, rig->tls, rig->limit, rig->stats);
	cr_assert_not_null(rig->service);
	add_site(rig, listener);
	for (size_t i = 0; i < listener->host_count; i++)
		add_site(rig, &listener->hosts[i]);
}

void
rig_init_in(struct rig *rig, const struct pki_folder *folder, const char *keys)
{
	char path[96];

	memset(rig, 0, sizeof(*rig));
	/* OpenSSL's own socket BIO writes alerts to a closed peer. */
	signal(SIGPIPE, SIG_IGN);
	rig->client_fd = rig->backend_fd = -1;
	rig->peer.sa.sa_family = AF_UNIX;
	rig->peer.len = sizeof(sa_family_t);
	rig->folder = *folder;
	snprintf(path, sizeof(path), "%s/backend", rig->folder.path);
	rig->listening_fd = listen_at(path);
	rig->config = make_config(rig, keys);
	make_service(rig);
	rig->loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_not_null(rig->loop);
	cr_assert(conn_set_init(&rig->set, rig->loop, NULL, 1));
	rig->client_context = SSL_CTX_new(TLS_client_method());
	cr_assert_not_null(rig->client_context);
}

void
rig_init(struct rig *rig, const char *keys)
{
	struct pki_folder folder;

	pki_folder_make(&folder);
	rig_init_in(rig, &folder, keys);
}

const struct stats_counts *
rig_counts(const struct rig *rig)
{
	return stats_of_thread(rig->stats, 0);
}

void
rig_fini(struct rig *rig)
{
	conn_set_fini(&rig->set);
	cr_expect_eq(limit_connections(rig->limit), 0, "a slot was kept");
	ev_loop_destroy(rig->loop);
	log_free(rig->log);
	rig_close_client(rig);
	rig_close_backend(rig);
	rig_refuse(rig);
	SSL_CTX_free(rig->client_context);
	service_unref(rig->service);
	limit_unref(rig->limit);
	stats_unref(rig->stats);
	limit_process_free(rig->process);
	tls_server_unref(rig->tls);
	ticket_keys_unref(rig->keys);
	config_unref(rig->config);
	pki_folder_remove(&rig->folder);
}

void
rig_log(struct rig *rig)
{
	char path[96];
	const struct log_options options = {
		.level = LEVEL_DEBUG,
		.output = path,
		.access = path,
	};

	snprintf(path, sizeof(path), "%s/log", rig->folder.path);
	rig->log = log_new();
	cr_assert(log_configure(rig->log, &options, NULL));
	rig->set.log = rig->log;
}

bool
rig_logged(const struct rig *rig, const char *text)
{
	char path[96], all[8192];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", rig->folder.path);
	file = fopen(path, "r");
	cr_assert_not_null(file);
	all[fread(all, 1, sizeof(all) - 1, file)] = '\0';
	fclose(file);
	if (strstr(all, text))
		return true;
	cr_log_error("no %s in:\n%s", text, all);
	return false;
}

void
rig_refuse(struct rig *rig)
{
	char path[96];

	if (rig->listening_fd < 0)
		return;
	close(rig->listening_fd);
	rig->listening_fd = -1;
	snprintf(path, sizeof(path), "%s/backend", rig->folder.path);
	unlink(path);
}

/* ---- moving it ---- */

void
rig_connect(struct rig *rig)
{
	struct conn_client client = { .peer = rig->peer };
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX,
			 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
	    0);
	cr_assert_eq(
	    limit_reserve(rig->limit, rig->service->listener), LIMIT_OK);
	rig->client_fd = fds[0];
	rig->client = SSL_new(rig->client_context);
	SSL_set_fd(rig->client, fds[0]);
	SSL_set_connect_state(rig->client);
	client.fd = fds[1];
	conn_new(&rig->set, rig->service, &client);
}

struct conn *
rig_conn(struct rig *rig)
{
	cr_assert(!list_is_empty(&rig->set.all), "it has ended");
	return container_of(rig->set.all.prev, struct conn, all);
}

bool
rig_shake(struct rig *rig)
{
	int result = 0;

	for (int i = 0; i < TURNS && result != 1; i++) {
		result = SSL_do_handshake(rig->client);
		rig_turn(rig);
	}
	return result == 1;
}

void
rig_accept(struct rig *rig)
{
	rig->backend_fd = accept4(
	    rig->listening_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert_geq(rig->backend_fd, 0, "no connection at the backend");
}

void
rig_open(struct rig *rig)
{
	rig_connect(rig);
	cr_assert(rig_shake(rig), "the handshake did not come to its end");
	rig_accept(rig);
}

void
rig_turn(struct rig *rig)
{
	for (int i = 0; i < TURNS; i++)
		ev_run(rig->loop, EVRUN_NOWAIT);
}

void
rig_wait(struct rig *rig)
{
	for (int i = 0; i < ROUNDS && rig->set.count > 0; i++)
		ev_run(rig->loop, EVRUN_ONCE);
	cr_assert_eq(rig->set.count, 0, "it never ended");
}

void
rig_close_client(struct rig *rig)
{
	SSL_free(rig->client);
	rig->client = NULL;
	if (rig->client_fd >= 0)
		close(rig->client_fd);
	rig->client_fd = -1;
}

void
rig_close_backend(struct rig *rig)
{
	if (rig->backend_fd >= 0)
		close(rig->backend_fd);
	rig->backend_fd = -1;
}

void
rig_client_sends(struct rig *rig, const void *bytes, size_t len)
{
	cr_assert_eq(send(rig->client_fd, bytes, len, MSG_NOSIGNAL),
	    (ssize_t)len, "the client could not send");
	rig_turn(rig);
}

void
rig_client_writes(struct rig *rig, const void *bytes, size_t len)
{
	size_t n = 0;

	for (int i = 0; i < TURNS && n == 0; i++) {
		(void)SSL_write_ex(rig->client, bytes, len, &n);
		rig_turn(rig);
	}
	cr_assert_eq(n, len, "the client could not send");
}

void
rig_backend_writes(struct rig *rig, const void *bytes, size_t len)
{
	cr_assert_eq(send(rig->backend_fd, bytes, len, MSG_NOSIGNAL),
	    (ssize_t)len, "the backend could not send");
	rig_turn(rig);
}

size_t
rig_client_reads(struct rig *rig, void *bytes, size_t len)
{
	size_t got = 0, n;

	while (got < len &&
	       SSL_read_ex(rig->client, (char *)bytes + got, len - got, &n)) {
		got += n;
		rig_turn(rig);
	}
	return got;
}

size_t
rig_backend_reads(struct rig *rig, void *bytes, size_t len)
{
	size_t got = 0;
	ssize_t n;

	while (got < len && (n = recv(rig->backend_fd, (char *)bytes + got,
				 len - got, 0)) > 0) {
		got += (size_t)n;
		rig_turn(rig);
	}
	return got;
}

enum rig_end
rig_client_end(struct rig *rig)
{
	char byte;
	int result = SSL_read(rig->client, &byte, 1);

	cr_assert_leq(result, 0, "there is more to read");
	switch (SSL_get_error(rig->client, result)) {
	case SSL_ERROR_WANT_READ:
		return OPEN;
	case SSL_ERROR_ZERO_RETURN:
		return ENDED_CLEANLY;
	default:
		return CUT;
	}
}

enum rig_end
rig_backend_end(struct rig *rig)
{
	char byte;
	ssize_t n = recv(rig->backend_fd, &byte, 1, 0);

	cr_assert_leq(n, 0, "there is more to read");
	if (n == 0)
		return ENDED_CLEANLY;
	return errno == EAGAIN ? OPEN : CUT;
}

bool
rig_ended(const struct rig *rig, enum conn_reason reason)
{
	for (int i = 0; i < CONN_REASON_COUNT; i++) {
		uint64_t count = conn_set_counter(&rig_counts(rig)->ended[i]);

		if (count == (uint64_t)(i == (int)reason))
			continue;
		cr_log_error("%s was counted %d times\n",
		    conn_reason_name((enum conn_reason)i), (int)count);
		return false;
	}
	return rig->set.count == 0;
}
