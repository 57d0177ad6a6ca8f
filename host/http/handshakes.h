/* handshakes: counts the TLS handshakes of one listener and logs the failed ones, at a bounded rate
 * for each reason (log_limit.h). Any thread. */
#pragma once

#include <sys/socket.h>

#include "bindings/tls.h"

/* Reasons beside those of enum tls_failure. */
enum { HANDSHAKE_TIMEOUT = TLS_FAILURES, HANDSHAKE_TOO_MANY, HANDSHAKE_REASONS };

struct handshakes;

struct handshakes *handshakes_create(const char *listener);
void handshakes_destroy(struct handshakes *handshakes); /* NULL is allowed */

void handshakes_count_done(struct handshakes *handshakes, const struct tls_session *session);
/* reason: of enum tls_failure, or one of the above. error: for the log. */
void handshakes_count_failed(struct handshakes *handshakes, int reason, const char *error,
                             const struct sockaddr_storage *client);
