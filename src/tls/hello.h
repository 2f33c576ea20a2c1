#ifndef TLS_HELLO_H
#define TLS_HELLO_H
#endif
