/* program: the parts of the running service, built in order and taken down in reverse. */
#ifndef AGG_HOST_PROGRAM_PROGRAM_H
#define AGG_HOST_PROGRAM_PROGRAM_H

#include "config/config.h"

struct program;

/* Starts everything. NULL, with nothing left: err says why; it is empty where the process was asked
 * to end. Config and path must outlive the program. */
struct program *program_start(const struct config *config, const char *config_path,
                              struct err *err);
/* Takes no more work, ends what is under way, frees. False: a call of a script or of a command does
 * not end. Then consumption has ended, nothing else is freed, and the process must end by _exit. */
bool program_stop(struct program *program);
/* By what stands on the disk, if it is good; the log says how it went. */
void program_reload(struct program *program);
/* The same, if its scripts or queries have changed since this was last asked. */
void program_reload_if_changed(struct program *program);
/* Says in the log what runs. */
void program_log(const struct program *program);

#endif
