/* secrets: what of a configuration must never be read in a text that leaves the process. Private to
 * the configuration. */
#ifndef AGG_HOST_CONFIG_SECRETS_H
#define AGG_HOST_CONFIG_SECRETS_H

#include "config.h"

/* Tells the redactor of them, for the life of the process. */
void config_note_secrets(const struct config *config);

#endif
