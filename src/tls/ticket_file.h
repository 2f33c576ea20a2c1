#ifndef TLS_TICKET_FILE_H
#define TLS_TICKET_FILE_H
#endif
