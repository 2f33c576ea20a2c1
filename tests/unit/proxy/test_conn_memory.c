/*
 * A connection with PROXY headers on both sides and the n-th allocation
 * failing, for every n: it goes on or ends, and everything is released.
 */
#include "proxy/conn.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/attr.h"
#include "base/buf.h"
#include "conn_rig.h"
#include "proxy/limit.h"
#include "proxy/stats.h"
#include "tests/support/scarce.h"

enum { ENOUGH = 100000 };

#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *
__wrap_malloc(size_t size)
{
	return scarce_fails_now() ? NULL : __real_malloc(size);
}

/* When an allocation fails. */
enum moment { HEADER_AND_HELLO, FINISHED_AND_REQUEST };

static bool
turn(struct rig *rig, bool scarce, long n)
{
	if (scarce)
		scarce_begin(n);
	rig_turn(rig);
	return scarce && scarce_end();
}

static void
leave(struct rig *rig)
{
	int fd;

	rig_close_client(rig);
	while ((fd = accept(rig->listening_fd, NULL, NULL)) >= 0)
		close(fd);
	rig_turn(rig);
}

/* false: there was no n-th allocation. */
static bool
visit(struct rig *rig, enum moment moment, long n)
{
	bool failed;

	rig_connect(rig);
	cr_assert_gt(send(rig->client_fd, LINE, strlen(LINE), 0), 0);
	(void)SSL_do_handshake(rig->client);
	failed = turn(rig, moment == HEADER_AND_HELLO, n);
	if (SSL_do_handshake(rig->client) == 1)
		(void)SSL_write(rig->client, "question", 8);
	failed |= turn(rig, moment == FINISHED_AND_REQUEST, n);
	cr_expect(failed || rig->set.count == 1,
	    "%ld: it ended without a failure", n);
	leave(rig);
	ERR_clear_error();
	return failed;
}

Test(conn_memory, is_released_wherever_it_ran_out)
{
	static const enum moment rows[] = { HEADER_AND_HELLO,
		FINISHED_AND_REQUEST };
	struct rig rig;

	rig_init(&rig, "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
		       "proxy_out = v2\nper_ip_max = 1\n"
		       "max_handshakes = 1\nmax_connections = 1");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		long n = 0;

		while (n < ENOUGH && visit(&rig, rows[i], n)) {
			cr_assert_eq(rig.set.count, 0, "%ld", n);
			cr_assert_eq(limit_connections(rig.limit), 0);
			cr_assert_eq(pool_in_use(rig.set.pool), 0, "%ld", n);
			n++;
		}
		cr_expect(n > 0 && n < ENOUGH, "%ld", n);
	}
	cr_expect_gt(rig_counts(&rig)->ended[CONN_NO_MEMORY], 0);
	rig_fini(&rig);
}
