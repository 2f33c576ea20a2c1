"""A process that echoes: prints its port, serves until it is ended."""

import selectors
import socket


def main():
    selector = selectors.DefaultSelector()
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(server.getsockname()[1], flush=True)
    selector.register(server, selectors.EVENT_READ)
    waiting = {}
    while True:
        for key, events in selector.select():
            sock = key.fileobj
            if sock is server:
                client, _ = server.accept()
                client.setblocking(False)
                waiting[client] = b""
                selector.register(client, selectors.EVENT_READ)
            else:
                serve(selector, waiting, sock, events)


def serve(selector, waiting, sock, events):
    """One socket's turn: read only when everything read so far is out."""
    try:
        if events & selectors.EVENT_READ:
            waiting[sock] = sock.recv(1 << 18)
            if not waiting[sock]:
                raise ConnectionError
        waiting[sock] = waiting[sock][sock.send(waiting[sock]):]
    except BlockingIOError:
        pass
    except ConnectionError:
        selector.unregister(sock)
        sock.close()
        del waiting[sock]
        return
    selector.modify(sock, selectors.EVENT_WRITE if waiting[sock] else selectors.EVENT_READ)


if __name__ == "__main__":
    main()
