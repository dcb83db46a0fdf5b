/*
 * The algorithm of src/internal/sharedSlots.ts, sharedTree.ts and sharedTurnstile.ts: threads take slots, sleep when they
 * find none, give them back, and may be terminated between any two steps, after which somebody reclaims what they had.
 *
 * One step here is one operation on shared memory there. A word of the tree has one bit, so that every slot has a bit
 * above its own: whatever can go wrong between two levels can go wrong here.
 *
 * Checked: nobody is given a slot that another has (assert); nobody sleeps for ever (invalid end state); in the end every
 * slot is free, and found from the top of the tree (assert in the last process).
 *
 * The steps that may be left out with WITHOUT_… are there to show that the checks find what they are to find.
 */
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
/* The one who reclaims marks slots as a thread does. */
#define KEEPER (WORKERS + 1)

byte owner[SLOTS];
bit listed[SLOTS];
bit leaf[SLOTS];
bit above[SLOTS];

/* The word to sleep on: what changes, and whether it is odd. */
byte turn;
bit awaited;
bit asleep[KEEPER + 1];

/* Not part of the algorithm: who holds what, who is no more. */
byte holders[SLOTS];
bit doomed[KEEPER + 1];
byte dead;
byte ended;
bit settled;

inline wake(all) {
  if
  :: atomic { !awaited && !all -> skip }
  :: atomic { awaited || all -> turn++; seen = turn };
     atomic {
       woken = 0;
       for (w : 1 .. KEEPER) {
         if
         :: asleep[w] && (all || woken == 0) -> asleep[w] = 0; woken = 1
         :: else
         fi
       }
       w = 0
     };
     if
     :: woken
     :: else -> atomic { if :: turn == seen -> turn++; awaited = 0 :: else fi }
     fi;
     seen = 0; woken = 0
  fi
}

inline setBit(s) {
  atomic { before = leaf[s]; leaf[s] = 1 };
  if
  :: before == 0 -> above[s] = 1
  :: else
  fi;
  before = 0
}

inline list(s) {
  setBit(s);
  atomic { if :: owner[s] == 0 && !listed[s] -> listed[s] = 1 :: else fi }
}

inline give(s) {
  if
  :: atomic { owner[s] == me && listed[s] -> owner[s] = 0; holders[s]-- }
  :: atomic { owner[s] == me && !listed[s] -> owner[s] = 0; holders[s]-- };
     list(s)
  :: atomic { owner[s] != me -> assert(false) }
  fi;
  wake(false)
}

inline got(s) {
  holders[s]++;
  assert(holders[s] == 1);
  slot = s
}

/* Takes a slot into `slot`, or leaves it at SLOTS. */
inline take() {
  slot = SLOTS;
  if
  /* One that it remembers. Which those are makes no difference. */
  :: atomic { owner[0] == 0 && listed[0] -> owner[0] = me; got(0) }
#if SLOTS > 1
  :: atomic { owner[1] == 0 && listed[1] -> owner[1] = me; got(1) }
#endif
  :: true ->
     do
     :: atomic {
          if
          :: above[0] -> at = 0
#if SLOTS > 1
          :: above[1] -> at = 1
#endif
          :: else -> at = SLOTS
          fi
        };
        if
        :: at == SLOTS -> break
        :: else
        fi;
        if
        :: atomic { leaf[at] -> leaf[at] = 0 };
           /* The bit was there, and is this thread's to see to. */
           if
           :: atomic { owner[at] == 0 -> owner[at] = me; listed[at] = 0; got(at) }; break
           :: atomic { owner[at] != 0 -> listed[at] = 0 }
           fi
        :: atomic { !leaf[at] -> skip };
           above[at] = 0;
#ifndef WITHOUT_RECHECK
           if
           :: leaf[at] -> above[at] = 1; wake(false)
           :: else
           fi
#endif
        fi
     od
  fi;
  at = 0
}

proctype Worker(byte me) {
  byte slot, at, seen, before, woken, w, ticket, round;
  {
    do
    :: round < ROUNDS ->
       do
       :: take();
          if
          :: slot < SLOTS -> break
          :: else
          fi;
          atomic { turn++; awaited = 1; ticket = turn };
#ifndef WITHOUT_SECOND_LOOK
          take();
          if
          :: slot < SLOTS -> break
          :: else
          fi;
#endif
          /* Falls asleep only if nothing has happened since it arrived. */
          atomic {
            if
            :: turn == ticket -> asleep[me] = 1
            :: else
            fi;
            ticket = 0
          };
          !asleep[me]
       od;
       give(slot);
       round++
    :: else -> break
    od
  } unless { doomed[me] };
  atomic {
    asleep[me] = 0;
    if
    :: doomed[me] -> dead = me
    :: else -> doomed[me] = 0; ended++
    fi
  }
}

/* Terminates a thread at some moment, or none. */
proctype Killer() {
  byte left = CRASHES;
  do
  :: left > 0 -> atomic { doomed[1] = 1; left = 0 }; break
  :: break
  od
}

/* Reclaims what a terminated thread had, while the others go on. */
proctype Keeper(byte me) {
  byte at, seen, before, woken, w;
  if
  :: atomic { dead != 0 -> skip };
     at = 0;
     do
     :: at < SLOTS ->
        if
        :: atomic { owner[at] == dead -> owner[at] = me }; give(at)
        :: atomic { owner[at] != dead -> skip }
        fi;
        at++
     :: else -> break
     od;
#ifndef WITHOUT_REPAIR
     at = 0;
     do
     :: at < SLOTS ->
        if
        :: atomic { owner[at] == 0 && !listed[at] -> skip }; list(at)
        :: atomic { listed[at] -> skip };
           if
           :: atomic { !leaf[at] -> skip }; list(at)
           :: leaf[at]
           fi
        :: atomic { owner[at] != 0 && !listed[at] -> skip }
        fi;
        at++
     :: else -> break
     od;
     at = 0;
     do
     :: at < SLOTS -> if :: leaf[at] -> above[at] = 1 :: else fi; at++
     :: else -> break
     od;
#endif
     wake(true);
     atomic { ended++; settled = 1 }
  :: atomic { ended == WORKERS -> settled = 1 }
  fi
}

init {
  byte s;
  atomic {
    for (s : 0 .. SLOTS - 1) { leaf[s] = 1; above[s] = 1 }
    for (s : 1 .. WORKERS) { run Worker(s) }
    run Killer();
    run Keeper(KEEPER)
  };
  atomic {
    settled && ended == WORKERS -> skip;
    for (s : 0 .. SLOTS - 1) {
      assert(owner[s] == 0 && holders[s] == 0);
      assert(leaf[s] && above[s])
    }
  }
}
