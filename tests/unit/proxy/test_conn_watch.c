/*
 * What a connection's one timer does besides ending it (see conn_rig.h).
 */
#include "proxy/conn_inner.h"

#include <sys/socket.h>

#include <criterion/criterion.h>

#include "conn_rig.h"

Test(conn_watch, has_the_backend_probed_once_that_can_matter)
{
	struct rig rig;
	struct conn *conn;
	socklen_t len = sizeof(int);
	int probed = -1;

	rig_init(&rig, "keepalive = 1s");
	rig_open(&rig);
	conn = container_of(rig.set.all.next, struct conn, all);
	getsockopt(conn->backend.fd, SOL_SOCKET, SO_KEEPALIVE, &probed, &len);
	cr_expect_eq(probed, 0, "a short connection is spared the call");
	for (int i = 0; i < 100 && !conn->kept_alive; i++)
		ev_run(rig.loop, EVRUN_ONCE);
	getsockopt(conn->backend.fd, SOL_SOCKET, SO_KEEPALIVE, &probed, &len);
	cr_expect_eq(probed, 1);
	rig_fini(&rig);
}
