/* connection_stream: writes a response whose body a worker makes meanwhile (body_stream.h). The
 * worker has the exchange until the body is made: till then the connection is not destroyed. */
#pragma once

#include "connection.h"

/* Writes what the worker has made since the call before. May destroy the connection. */
void connection_go_on_streaming(struct connection *connection);
/* As connection_drive's functions: true: the response is written, and the next request may be
 * taken. False: it waits for the client or the worker, or the connection is gone. */
bool connection_write_stream(struct connection *connection);
/* The worker has made the body, or failed: returns the exchange to the loop. As
 * connection_write_stream. */
bool connection_resume_stream(struct connection *connection, struct exchange *exchange);

/* ---- of connection.c ---- */

/* Copies the exchange's response and formats its head. */
void connection_take_response(struct connection *connection, const struct exchange *exchange);
/* The response is written: true, or the connection ends. */
bool connection_finish_response(struct connection *connection);
