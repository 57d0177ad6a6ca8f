/* workers: the threads that answer what an event loop may not wait for. */
#ifndef AGG_HOST_HTTP_WORKERS_H
#define AGG_HOST_HTTP_WORKERS_H

#include <stdatomic.h>

#include "service.h"

struct workers;
struct connection;

/* One request with its own copy of the head. Owned by its connection; while the connection is busy,
 * by the queue and then the worker. */
struct job {
    struct job *next;
    struct connection *connection;
    struct exchange exchange;
    _Atomic bool abandoned; /* set by the loop: the client has reset the connection */
    bool answered;          /* else it was abandoned before a worker took it */
    char head[];
};

/* Copies head and exchange; the copy's request points into the copied head. */
struct job *job_create(struct connection *connection, const struct exchange *exchange,
                       struct slice head);

/* Called on a worker's thread when the job's reply is made. */
typedef void (*workers_on_done)(struct job *job);

struct workers *workers_start(struct service *service, int count, workers_on_done on_done,
                              struct err *err);
/* Takes the job until on_done. The queue needs no bound of its own: a connection has at most one
 * job and connections are bounded. */
void workers_submit(struct workers *workers, struct job *job);
/* No job is left: every connection has gone. */
void workers_stop(struct workers *workers);

#endif
