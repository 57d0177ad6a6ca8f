/* kafka_login: passes a changed SASL user and password to a running client. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* Sets the configuration's login if it changed; the client uses it for its next connection. *used:
 * hash of the login that the client has, 0 before the first call. after_refusal: a broker has just
 * refused it. True: it changed. */
bool kafka_login_renew(rd_kafka_t *kafka, const char *brokers, bool after_refusal, uint64_t *used);
