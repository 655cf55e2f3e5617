//! Work on several threads whose results come in the order of the work.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many threads can run at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What `work` makes of contiguous shares of `items`, one share a thread, in the order of the
/// items: for many small items of about the same cost, which are worth being read in order.
///
/// # Panics
/// When `work` does.
pub fn map_shares<I: Sync, T: Send>(
    threads: usize,
    items: &[I],
    work: impl Fn(&[I]) -> T + Sync,
) -> Vec<T> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let mut shares = items.chunks(share);
    let Some(first) = shares.next() else { return Vec::new() };
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        let mut made = vec![work(first)];
        let join = |other: thread::ScopedJoinHandle<'_, T>| {
            other.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        made.extend(others.into_iter().map(join));
        made
    })
}

/// Works on up to `threads` threads, each with a state of its own, and takes what comes of each
/// item in the order of the items. A thread takes the next item as soon as it is free, as others
/// may be busy with other programs; at most two items for each thread are in the making or wait.
///
/// # Errors
/// The first of `take`; what is not worked on by then never is.
pub fn in_order<I: Sync, S, T: Send, E>(
    threads: usize,
    items: &[I],
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &I) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.min(items.len());
    if threads < 2 {
        let mut state = state();
        return items.iter().try_for_each(|item| take(work(&mut state, item)));
    }
    let (hand_out, to_do) = channel();
    let to_do = Mutex::new(to_do.into_iter());
    let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (give, made) = channel();
    let (state, work, next) = (&state, &work, &next);
    thread::scope(|scope| {
        for _ in 0..threads {
            let give = give.clone();
            scope.spawn(move || {
                let mut state = state();
                while let Some((index, item)) = next() {
                    // Whoever waits for this item must hear of a panic.
                    let made = catch_unwind(AssertUnwindSafe(|| work(&mut state, item)));
                    if give.send((index, made)).is_err() {
                        break;
                    }
                }
            });
        }
        // Dropped at the end, whatever it is: then nobody works on.
        let (hand_out, made) = (hand_out, made);
        let mut rest = items.iter().enumerate();
        for item in rest.by_ref().take(2 * threads) {
            let _ = hand_out.send(item);
        }
        let mut waiting = BTreeMap::new();
        for index in 0..items.len() {
            let made = loop {
                match waiting.remove(&index) {
                    Some(made) => break made,
                    None => waiting.extend(made.recv()),
                }
            };
            if let Some(item) = rest.next() {
                let _ = hand_out.send(item);
            }
            take(made.unwrap_or_else(|panic| resume_unwind(panic)))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_many_threads_is_taken_in_order_until_an_error() {
        let items: Vec<u64> = (0..1_000).collect();
        let work = |state: &mut u64, item: &u64| {
            *state += 1;
            if item.is_multiple_of(7) {
                thread::yield_now();
            }
            item * 2
        };
        let mut taken = Vec::new();
        let whole: Result<(), u64> = in_order(
            4,
            &items,
            || 0,
            work,
            |made| {
                taken.push(made);
                Ok(())
            },
        );
        assert_eq!(whole, Ok(()));
        assert!(taken.iter().copied().eq((0..1_000).map(|item| item * 2)));
        let mut count = 0;
        let ended = in_order(
            4,
            &items,
            || 0,
            work,
            |made| {
                count += 1;
                if made < 200 { Ok(()) } else { Err(made) }
            },
        );
        assert_eq!((ended, count), (Err(200), 101));
        let none = in_order(4, &items[..0], || 0, work, Err);
        assert_eq!(none, Ok(()));
        let panics = |_: &mut u64, item: &u64| assert_ne!(*item, 500);
        let ended = catch_unwind(|| in_order(4, &items, || 0, panics, |()| Ok::<_, u64>(())));
        assert!(ended.is_err());
    }

    #[test]
    fn shares_are_mapped_in_order_whatever_the_number_of_threads() {
        let items: Vec<u32> = (0..10).collect();
        for threads in [0, 1, 3, 4, 99] {
            let shares = map_shares(threads, &items, <[u32]>::to_vec);
            assert_eq!(shares.concat(), items, "{threads}");
            assert!(shares.len() <= threads.max(1) && shares.iter().all(|s| !s.is_empty()));
        }
        assert!(map_shares(4, &items[..0], <[u32]>::len).is_empty());
        let panics = |share: &[u32]| assert!(!share.contains(&9));
        assert!(catch_unwind(|| map_shares(4, &items, panics)).is_err());
    }
}
