/* renewal: rotates logins without a restart. Before each connect a binding asks for the present
 * user and password (bindings/login.h). The configuration is re-read when one of its files or a
 * file that they read (NAME_FILE) has changed, and after a refused login. Another server needs a
 * restart. Any thread. */
#pragma once

#include "config.h"

/* Starts renewal; `config` was read from config_path. Once, before any thread starts. */
void renewal_begin(const char *config_path, const struct config *config);
