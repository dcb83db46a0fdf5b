/*
 * The algorithm of src/internal/sharedSlots.ts, sharedTree.ts and sharedTurnstile.ts: threads take slots, sleep when they
 * find none, give them back, and may be terminated between any two steps, after which somebody reclaims what they had.
 *
 * One step here is one operation on shared memory there. There are two levels of bits: the slots have a word each, or with
 * TOGETHER one word, and every word has a bit above it.
 *
 * Checked: nobody is given a slot that another has (assert); nobody sleeps for ever (invalid end state); in the end every
 * slot is free, and found from the top of the tree (assert in the last process). With STOPPED nobody is reclaimed: then,
 * with a slot for each worker, all others go on, whatever one was doing when it was stopped.
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

#ifdef TOGETHER
#define WORDS 1
#define WORD(s) 0
#define ANY(word) (leaf[0] || leaf[SLOTS - 1])
#else
#define WORDS SLOTS
#define WORD(s) s
#define ANY(word) leaf[word]
#endif

byte owner[SLOTS];
bit listed[SLOTS];
bit leaf[SLOTS];
bit above[WORDS];

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
  atomic { before = ANY(WORD(s)); leaf[s] = 1 };
  if
  :: before == 0 -> above[WORD(s)] = 1
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
#if SLOTS > 1 && !defined(TOGETHER)
          :: above[1] -> at = 1
#endif
          :: else -> at = WORDS
          fi
        };
        if
        :: at == WORDS ->
           before = 0;
#ifndef WITHOUT_LAST_LOOK
           if
           :: ANY(0) -> above[0] = 1; before = 1
           :: else
           fi;
#if SLOTS > 1 && !defined(TOGETHER)
           if
           :: ANY(1) -> above[1] = 1; before = 1
           :: else
           fi;
#endif
#endif
           if
           :: before -> before = 0
           :: else -> break
           fi
        :: else ->
           atomic {
             if
             :: ANY(at) ->
#if SLOTS > 1 && defined(TOGETHER)
                if
                :: leaf[0] -> at = 0
                :: leaf[1] -> at = 1
                fi
#else
                skip
#endif
             :: else -> before = 1
             fi
           };
           if
           :: atomic { !before && leaf[at] -> leaf[at] = 0 };
              /* The bit was there, and is this thread's to see to. */
              if
              :: atomic { owner[at] == 0 -> owner[at] = me; listed[at] = 0; got(at) }; break
              :: atomic { owner[at] != 0 -> listed[at] = 0 }
              fi
           :: atomic { !before && !leaf[at] -> skip }
           :: atomic { before -> before = 0 };
              above[at] = 0;
#ifndef WITHOUT_RECHECK
              if
              :: ANY(at) -> above[at] = 1
              :: else
              fi
#endif
           fi
        fi
     od
  fi;
  at = 0
}

proctype Worker(byte me) {
  byte slot, mine, at, seen, before, woken, w, ticket, round;
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
#ifdef STOPPED
       /* One that is not to be stopped looks for another, and so finds words of the tree that are empty. */
       if
       :: me != 1 ->
          mine = slot;
          take();
          if
          :: slot < SLOTS -> give(slot)
          :: else
          fi;
          slot = mine
       :: else
       fi;
#endif
       give(slot);
       round++
    :: else -> break
    od
  } unless { doomed[me] };
  atomic {
    asleep[me] = 0;
    if
    :: doomed[me] -> dead = me
#ifdef STOPPED
       ; ended++
#endif
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
#ifndef STOPPED
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
     :: at < WORDS -> if :: ANY(at) -> above[at] = 1 :: else fi; at++
     :: else -> break
     od;
#endif
     wake(true);
     atomic { ended++; settled = 1 }
#endif
  :: atomic { ended == WORKERS -> settled = 1 }
  fi
}

init {
  byte s;
  atomic {
    for (s : 0 .. SLOTS - 1) { leaf[s] = 1; above[WORD(s)] = 1 }
    for (s : 1 .. WORKERS) { run Worker(s) }
    run Killer();
    run Keeper(KEEPER)
  };
  atomic {
    settled && ended == WORKERS -> skip;
#ifndef STOPPED
    for (s : 0 .. SLOTS - 1) {
      assert(owner[s] == 0 && holders[s] == 0);
      assert(leaf[s] && above[WORD(s)])
    }
#endif
    s = 0
  }
}
