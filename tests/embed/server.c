/*
 * A small TLS server with stapling.  Of clinch it uses only <staple.h>:
 *
 *   cc server.c $(pkg-config --cflags --libs staple) -o server
 *   ./server CERTIFICATE.pem CONNECTIONS
 *
 * The file has the chain, leaf first, and the key.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <staple.h>

static void
on_log(void *arg, const struct staple_event *event)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n",
	    event->certificate ? event->certificate : "staple", event->message);
}

/* With the defaults certificates that carry must-staple are stapled. */
static struct staple *
staple_all(SSL_CTX *context)
{
	const struct staple_options options = { .log = on_log };
	const struct staple_policy policy = { .mode = STAPLE_AUTO };
	char why[256];
	struct staple *staple = staple_new(&options, why, sizeof(why));

	if (!staple ||
	    !staple_attach(staple, context, &policy, why, sizeof(why)) ||
	    !staple_start(staple, why, sizeof(why))) {
		fprintf(stderr, "no stapling: %s\n", why);
		staple_free(staple);
		return NULL;
	}
	/* Waiting is optional: a staple is sent as soon as it is fetched. */
	if (!staple_wait(staple, 20000))
		fprintf(stderr, "no staple yet\n");
	return staple;
}

static SSL_CTX *
make_context(const char *path)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(context, path) == 1 &&
	    SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1)
		return context;
	ERR_print_errors_fp(stderr);
	SSL_CTX_free(context);
	return NULL;
}

/* On loopback, at a port that the kernel chooses. */
static int
open_listener(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&address, length) != 0 ||
	    listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
		perror("listen");
		return -1;
	}
	printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void
serve(SSL_CTX *context, int client)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nhello\n";
	char request[4096];
	SSL *ssl = SSL_new(context);

	SSL_set_fd(ssl, client);
	if (SSL_accept(ssl) == 1 &&
	    SSL_read(ssl, request, sizeof(request)) > 0 &&
	    SSL_write(ssl, answer, sizeof(answer) - 1) > 0)
		SSL_shutdown(ssl);
	ERR_print_errors_fp(stderr);
	SSL_free(ssl);
	close(client);
}

int
main(int argc, char **argv)
{
	int connections = argc == 3 ? atoi(argv[2]) : 0;
	SSL_CTX *context = argc == 3 ? make_context(argv[1]) : NULL;
	struct staple *staple = context ? staple_all(context) : NULL;
	int fd = staple ? open_listener() : -1;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; fd >= 0 && i < connections; i++)
		serve(context, accept(fd, NULL, NULL));
	/* In either order, and with connections still open. */
	staple_free(staple);
	SSL_CTX_free(context);
	return fd >= 0 ? 0 : 1;
}
