//! Bounds on what reading one input may cost: an allocator that counts, and a watchdog.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Memory that one input of some kilobytes may take.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;
/// Time that one input may take, in a program that is not optimized on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Counts what the current thread holds while it reads an input, and refuses more than
/// [`BYTES_MAX`]: the program then ends, after a line that names the input.
pub struct Counting;

/// The input that a thread reads.
#[derive(Clone, Copy)]
struct Input {
    target: &'static str,
    mutant: u64,
}

thread_local! {
    static INPUT: Cell<Option<Input>> = const { Cell::new(None) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

static CURRENT: Mutex<Option<(Input, Instant)>> = Mutex::new(None);

/// Whether `bytes` more are too many for the input that is being read.
fn exceeds(bytes: usize) -> bool {
    let Ok(Some(input)) = INPUT.try_with(Cell::get) else { return false };
    let held = HELD.with(|held| {
        held.set(held.get().saturating_add(bytes));
        held.get()
    });
    if held <= BYTES_MAX {
        return false;
    }
    HELD.with(|held| held.set(held.get() - bytes));
    // Nothing may be allocated here.
    INPUT.with(|known| known.set(None));
    let Input { target, mutant } = input;
    let _ = writeln!(
        std::io::stderr(),
        "{target}: mutant {mutant} asks for {bytes} bytes, over the bound of {BYTES_MAX}"
    );
    INPUT.with(|known| known.set(Some(input)));
    true
}

fn released(bytes: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(bytes)));
}

#[expect(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]
// SAFETY: every call goes to `System` as it came, or returns null, which the contract allows.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if exceeds(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if exceeds(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        released(layout.size());
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if exceeds(size) {
            return std::ptr::null_mut();
        }
        released(layout.size());
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Reads one input under both bounds.
pub fn bounded<T>(target: &'static str, mutant: u64, read: impl FnOnce() -> T) -> T {
    let input = Input { target, mutant };
    *CURRENT.lock().unwrap() = Some((input, Instant::now()));
    HELD.with(|held| held.set(0));
    INPUT.with(|known| known.set(Some(input)));
    let answer = read();
    INPUT.with(|known| known.set(None));
    *CURRENT.lock().unwrap() = None;
    answer
}

/// Whether this thread reads an input now.
pub fn is_reading() -> bool {
    INPUT.with(Cell::get).is_some()
}

/// Whether memory of this size is refused while an input is read.
pub fn refuses(bytes: usize) -> bool {
    bounded("the bound itself", 0, || Vec::<u8>::new().try_reserve_exact(bytes).is_err())
}

/// Starts the thread that ends the program when an input takes too long.
pub fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let Some((Input { target, mutant }, since)) = *CURRENT.lock().unwrap() else {
                continue;
            };
            if since.elapsed() > TIME_MAX {
                let _ = writeln!(
                    std::io::stderr(),
                    "{target}: mutant {mutant} takes more than {TIME_MAX:?}"
                );
                std::process::abort();
            }
        }
    });
}
