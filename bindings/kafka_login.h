/* kafka_login: the SASL user and password of a client, as the configuration has them now. */
#ifndef AGG_BINDINGS_KAFKA_LOGIN_H
#define AGG_BINDINGS_KAFKA_LOGIN_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* Gives a client that runs another login, where there is a new one: it is used at the client's next
 * connection. *used: the hash of the login that the client has, 0 before the first call.
 * after_refusal: a broker has just refused the last one. True: there is a new one. */
bool kafka_login_renew(rd_kafka_t *kafka, const char *brokers, bool after_refusal, uint64_t *used);

#endif
