#include "kafka_errors.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

static enum kafka_error_kind kafka_errors_kind_of(rd_kafka_resp_err_t code) {
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return KAFKA_ERROR_NONE;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return KAFKA_ERROR_END;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return KAFKA_ERROR_NO_OFFSET;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return KAFKA_ERROR_NO_TOPIC;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return KAFKA_ERROR_TOPIC_REFUSED;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return KAFKA_ERROR_LOGIN_REFUSED;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return KAFKA_ERROR_BROKERS_DOWN;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return KAFKA_ERROR_CONNECTION;
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return KAFKA_ERROR_FENCED;
    case RD_KAFKA_RESP_ERR__FATAL:
        return KAFKA_ERROR_FATAL;
    default:
        return KAFKA_ERROR_OTHER;
    }
}

static const char *kafka_errors_reason_of(rd_kafka_resp_err_t code) {
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return "Kafka refuses the login";
    case RD_KAFKA_RESP_ERR__SSL:
        return "the TLS connection to Kafka fails";
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return "the name of a Kafka broker cannot be resolved";
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        return "no Kafka broker is reachable";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return "Kafka refuses the consumer group";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "Kafka does not allow reading the topic";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: /* of the producer's id */
        return "Kafka does not allow the user to write";
    case RD_KAFKA_RESP_ERR__BAD_MSG:
        return "a batch of records is damaged";
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
        return "a batch of records cannot be decompressed";
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
        return "a batch of records has an unknown format or compression";
    default:
        return rd_kafka_err2str(code);
    }
}

struct kafka_error kafka_error_of(int code) {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return (struct kafka_error){0};
    }
    rd_kafka_resp_err_t library = (rd_kafka_resp_err_t)code;
    return (struct kafka_error){
        .kind = kafka_errors_kind_of(library),
        .name = rd_kafka_err2name(library),
        .reason = kafka_errors_reason_of(library),
    };
}

static const char *kafka_errors_tls_reason(const char *detail, enum tls_failure certificate) {
    if (strstr(detail, "SSL alert number")) {
        return "Kafka refuses the TLS connection";
    }
    switch (strstr(detail, "verify failed") ? certificate : TLS_FAILURE_NONE) {
    case TLS_FAILURE_EXPIRED:
        return "the certificate of Kafka is expired or not yet valid";
    case TLS_FAILURE_UNKNOWN_CA:
        return "the certificate of Kafka is of an unknown CA";
    case TLS_FAILURE_NAME:
        return "the certificate of Kafka names another host";
    default:
        return kafka_errors_reason_of(RD_KAFKA_RESP_ERR__SSL);
    }
}

struct kafka_error kafka_error_of_client(int code, const char *detail,
                                         enum tls_failure certificate) {
    bool of_tls = code == RD_KAFKA_RESP_ERR__SSL ||
                  (code == RD_KAFKA_RESP_ERR__TRANSPORT && strstr(detail, "SSL routines"));
    struct kafka_error error = kafka_error_of(of_tls ? RD_KAFKA_RESP_ERR__SSL : code);
    if (of_tls) {
        error.kind = KAFKA_ERROR_TLS;
        error.reason = kafka_errors_tls_reason(detail, certificate);
    }
    return error;
}

bool kafka_error_same(const struct kafka_error *a, const struct kafka_error *b) {
    return a->kind == b->kind &&
           (a->kind == KAFKA_ERROR_NONE ||
            (strcmp(a->name, b->name) == 0 && strcmp(a->reason, b->reason) == 0));
}
