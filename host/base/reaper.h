/* reaper: frees large objects on a thread of its own, so that their last user does not wait. */
#pragma once

struct reaper;

struct reaper *reaper_create(void); /* NULL: the thread cannot be started */
/* Queues destroy(object). Any thread. */
void reaper_give(struct reaper *reaper, void (*destroy)(void *object), void *object);
/* Frees the queued objects first. */
void reaper_destroy(struct reaper *reaper);
