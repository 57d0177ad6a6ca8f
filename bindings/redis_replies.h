/* redis_replies: reply objects of hiredis' reader in an arena, without an allocation for each. */
#pragma once

#include <hiredis/hiredis.h>

#include "base/arena.h"

/* Has the reader make objects in the arena: valid until arena_reset. Call it between replies. */
void redis_replies_use_arena(redisReader *reader, struct arena *arena);
