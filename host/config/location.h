/* location: finds the configuration that a command uses. */
#pragma once

#include "base/buffer.h"

/* Appends the path of the first that there is: `given` (--config; NULL: none), the variable
 * AGGREGATOR_CONFIG; of an installed program (its folder is PREFIX/bin, and
 * PREFIX/share/aggregator/config.lua exists) PREFIX/etc/aggregator/config.lua,
 * /etc/aggregator/config.lua, then that file in share; of another ./config.lua. An installed
 * program does not look into the working folder: its user may not own that. */
void config_find(const char *given, struct buffer *path);

/* The admin socket of a program whose configuration at `path` cannot be run: a variable
 * (AGGREGATOR_ADMIN_SOCKET, ADMIN_SOCKET), /run/aggregator/admin.sock for the one in /etc, else
 * aggregator.sock beside it. malloc'ed. */
char *config_default_socket(const char *path);
