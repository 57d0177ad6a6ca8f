#include "kafka_login.h"

#include "base/hash.h"
#include "base/log.h"
#include "login.h"

bool kafka_login_renew(rd_kafka_t *kafka, const char *brokers, bool after_refusal, uint64_t *used) {
    struct login_pair sasl = login_sasl(brokers, after_refusal);
    uint64_t hash = *used;
    if (sasl.user) {
        hash = hash64(slice_of(sasl.user)) * 31 + hash64(slice_of(sasl.password));
    }
    bool is_other = hash != *used;
    if (is_other) {
        rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(kafka, sasl.user, sasl.password);
        if (error) {
            log_warning("Kafka client refused the login: see sasl.* in kafka.options",
                        LOG_TEXT("error", rd_kafka_error_string(error)));
            rd_kafka_error_destroy(error);
        }
    }
    *used = hash;
    login_pair_free(&sasl);
    return is_other;
}
