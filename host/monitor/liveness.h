/* liveness: proves to the service manager that the process lives, while the loops that answer
 * /healthz turn. Where they hang the proofs end, and the service manager restarts the process
 * (WatchdogSec= of the unit). A script that hangs is script/watchdog.h's. */
#pragma once

#include "base/err.h"
#include "http/http_server.h"

struct liveness;

/* Starts the thread. The server must outlive it. NULL with an empty err: no one asks for proofs. */
struct liveness *liveness_start(struct http_server *http, struct err *err);
void liveness_stop(struct liveness *liveness);
