/* Shared by the files of a connection. */
#pragma once

#include "connection.h"

#define LINGER_MAX_BYTES (256 * 1024) /* that a client sends after its last request: dropped */

/* ---- connection.c ---- */

/* Copies the exchange's response and formats its head. */
void connection_take_response(struct connection *connection, const struct exchange *exchange);
/* Writes the exchange's response and returns the exchange to the loop. True: the response is
 * written. False: the socket is full, or the connection is gone. */
bool connection_write_response(struct connection *connection, struct exchange *exchange);
/* The response is written: true, or the connection ends. */
bool connection_finish_response(struct connection *connection);
/* The socket is full: sets the state. The client has a new deadline if it is the state's first one,
 * or if the client took PROGRESS_BYTES since the one before. False: it keeps its deadline. */
bool connection_await_client(struct connection *connection, enum connection_state state);
/* Answers instead of the request that comes in, then ends the connection. False. */
bool connection_refuse(struct connection *connection, struct refusal refusal);
void connection_release_response(struct connection *connection);
void connection_release_input(struct connection *connection);
/* After the last response. Closing a socket that still receives bytes resets it, and the client may
 * lose the response: waits for the client's end of file first. May destroy the connection. */
void connection_end(struct connection *connection);
/* Gives the exchange to a worker. */
void connection_submit(struct connection *connection, struct exchange *exchange);

struct room {
    char *to;
    size_t bytes;
};
/* The number of bytes read. 0: none now, or at_end, or *gone: the connection is destroyed. */
size_t connection_read(struct connection *connection, struct room room, bool *gone);
/* Removes the first bytes of the input. */
void connection_use_input(struct connection *connection, size_t len);

/* ---- connection_body.c: as connection_drive's functions: true: go on ---- */

/* Begins to receive the body of the exchange: 503 if there is no memory for it. */
bool connection_begin_body(struct connection *connection, struct exchange *exchange);
bool connection_receive_body(struct connection *connection);

/* ---- connection_stream.c: the worker has the exchange until the body is made: till then the
 * connection is not destroyed ---- */

/* Writes what the worker has made since the call before. May destroy the connection. */
void connection_go_on_streaming(struct connection *connection);
/* As connection_drive's functions: true: the response is written, and the next request may be
 * taken. False: it waits for the client or the worker, or the connection is gone. */
bool connection_write_stream(struct connection *connection);
/* The worker has made the body, or failed: returns the exchange to the loop. As
 * connection_write_stream. */
bool connection_resume_stream(struct connection *connection, struct exchange *exchange);

/* ---- connection_live.c: each may destroy the connection ---- */

/* The head of its stream is written. */
void connection_go_live(struct connection *connection);
/* A client sends nothing on a stream: its bytes are dropped, and its end ends the stream. */
void connection_drive_live(struct connection *connection);
void connection_send_heartbeat(struct connection *connection);

/* ---- connection_tls.c ---- */

/* True: the first request may have arrived. False: it waits, or the connection is gone. */
bool connection_shake_hands(struct connection *connection);
/* reason: an enum tls_failure, or one of handshakes.h. error: for the log. */
void connection_count_failure(struct connection *connection, int reason, const char *error);
