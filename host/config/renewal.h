/* renewal: logins that change while the program runs. A password that is rotated stands in a file
 * that config.lua reads (NAME_FILE), or in config.lua itself. Bindings ask for the present one
 * before each connect (bindings/login.h). The configuration is read again where it or one of those
 * files has changed, and where a server refuses a login. Only user and password are renewed; a
 * setting that leads to another place wants a restart. Any thread. */
#ifndef AGG_HOST_CONFIG_RENEWAL_H
#define AGG_HOST_CONFIG_RENEWAL_H

#include "config.h"

/* From now on logins are renewed from that file, as which `config` was read. Once in a process,
 * before its threads; without it every login stays as it is. */
void renewal_begin(const char *config_path, const struct config *config);

#endif
