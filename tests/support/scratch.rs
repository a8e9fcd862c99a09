//! The directory that holds everything a test process leaves on the machine, and
//! the reaper that empties it.
//!
//! The reaper is a shell in a session of its own, reading a pipe whose other end only this
//! process holds. However this process ends (return, panic, Ctrl-C, kill -9), the
//! pipe closes; the reaper then ends every process that works below the directory and
//! removes it. Sending `keep` before makes it leave all as it is (`make demo KEEP=1`).

use std::ffi::CStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, OnceLock};

/// A unix socket's path may have 107 bytes; `/name/.s.PGSQL.12345` and a backup follow ours.
const LONGEST_PATH: usize = 60;

/// Ends the servers politely enough that they free their shared memory, then for sure.
const REAPER: &str = r#"
dir=$1
trap '' INT TERM HUP
read -r word
[ "$word" = keep ] && exit 0
living() {
    for link in /proc/[0-9]*/cwd; do
        case $(readlink "$link" 2>/dev/null) in
        "$dir" | "$dir"/*) pid=${link#/proc/}; pid=${pid%/cwd}; [ "$pid" = $$ ] || echo "$pid" ;;
        esac
    done
}
for file in "$dir"/*/data/postmaster.pid; do
    [ -f "$file" ] || continue
    read -r pid <"$file"
    case $(readlink "/proc/$pid/cwd" 2>/dev/null) in
    "$dir"/*) kill -QUIT "$pid" 2>/dev/null ;;
    *) # killed with -9 before: its small System V segment stays unless somebody removes it
        id=$(sed -n '7s/^ *[0-9]* *//p' "$file")
        [ -n "$id" ] && ipcrm -m "$id" 2>/dev/null ;;
    esac
done
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -z "$(living)" ] && break
    sleep 0.1
done
for pid in $(living); do kill -KILL "$pid" 2>/dev/null; done
rm -rf "$dir" 2>/dev/null || { sleep 0.3; rm -rf "$dir"; }
"#;

#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    reaper: Mutex<Option<(Child, ChildStdin)>>,
}

/// This process's scratch directory, made at the first call.
pub fn scratch() -> &'static Scratch {
    static SCRATCH: OnceLock<Scratch> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let scratch = Scratch::create().expect("cannot make a scratch directory");
        clean_up_on_signals();
        scratch
    })
}

static ON_DISK: AtomicBool = AtomicBool::new(false);

/// This process measures, or keeps what it makes. To be called before anything is made.
pub fn on_disk() {
    ON_DISK.store(true, Ordering::Relaxed);
}

/// Where files are made in memory, unless somebody has said where (`TMPDIR`) or the large sizes are run: a server has a thousand of them,
/// whose making takes longer on a disk than most tests. Not if the machine has little memory, or nothing may be executed there.
fn memory() -> Option<PathBuf> {
    const ROOM: u64 = 6 << 30;
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("TMPDIR") || is_set("COURIER_NIGHTLY") || ON_DISK.load(Ordering::Relaxed) {
        return None;
    }
    let about = fs_about(c"/dev/shm")?;
    let has_room = about.f_bavail * about.f_frsize > ROOM && available_memory()? > ROOM;
    let may_execute = about.f_flag & libc::ST_NOEXEC == 0;
    (has_room && may_execute).then(|| PathBuf::from("/dev/shm"))
}

fn fs_about(path: &CStr) -> Option<libc::statvfs> {
    let mut about = std::mem::MaybeUninit::uninit();
    // SAFETY: both pointers are valid for the call, which fills the structure when it returns 0.
    unsafe { (libc::statvfs(path.as_ptr(), about.as_mut_ptr()) == 0).then(|| about.assume_init()) }
}

/// In bytes, as the system sees it.
fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb << 10)
}

impl Scratch {
    fn create() -> std::io::Result<Scratch> {
        let base = memory()
            .or_else(|| Some(std::env::temp_dir()).filter(|dir| dir.as_os_str().len() + 20 < LONGEST_PATH))
            .unwrap_or_else(|| PathBuf::from("/tmp"));
        // An earlier process with our id may have left its directory (KEEP=1).
        let candidates = (0..100).map(|n| base.join(format!("courier.{}.{n}", std::process::id())));
        let path = candidates
            .into_iter()
            .find(|path| std::fs::create_dir(path).is_ok())
            .ok_or_else(|| std::io::Error::other(format!("cannot write to {}", base.display())))?;
        // The servers' account walks through it whatever our umask is.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;

        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", REAPER, "reaper"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: setsid is async-signal-safe and touches nothing of the parent.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        let pipe = child.stdin.take().expect("stdin is piped");
        Ok(Scratch { path, reaper: Mutex::new(Some((child, pipe))) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves directory and processes alone when this process ends.
    pub fn keep(&self) {
        if let Some((mut child, mut pipe)) = self.lock().take() {
            let _ = pipe.write_all(b"keep\n");
            drop(pipe);
            let _ = child.wait();
        }
    }

    /// Ends everything now and waits until it is gone.
    pub fn clean_up(&self) {
        if let Some((mut child, pipe)) = self.lock().take() {
            drop(pipe);
            let _ = child.wait();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Child, ChildStdin)>> {
        self.reaper.lock().unwrap_or_else(|e| e.into_inner())
    }
}

static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

static STOPPING: AtomicBool = AtomicBool::new(false);

/// Once a signal has come, whatever fails does so because the servers go away. A thread that meets such a failure says
/// nothing and waits here for the end of the process.
pub fn keep_quiet_when_stopping() {
    while STOPPING.load(Ordering::Relaxed) {
        std::thread::park();
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    STOPPING.store(true, Ordering::Relaxed);
    let byte = signal as u8;
    // SAFETY: write is async-signal-safe, the byte outlives the call.
    unsafe { libc::write(SIGNAL_PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
}

/// Ctrl-C and SIGTERM: everything is gone before the shell's prompt comes back.
fn clean_up_on_signals() {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return; // the reaper alone still cleans up, a moment later
    }
    SIGNAL_PIPE.store(ends[1], Ordering::Relaxed);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only writes to a pipe.
        unsafe {
            let before = libc::signal(signal, on_signal as *const () as libc::sighandler_t);
            if before == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_IGN); // nohup meant it
            }
        }
    }
    let read_end = ends[0];
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        keep_quiet_when_stopping();
        report(panic);
    }));
    std::thread::spawn(move || {
        let mut byte = 0u8;
        // SAFETY: one byte into one byte.
        let got = unsafe { libc::read(read_end, (&raw mut byte).cast(), 1) };
        if got == 1 {
            eprintln!("\nstopping, removing servers and files ...");
            scratch().clean_up();
            // SAFETY: ends the process without running destructors of threads in mid-flight.
            unsafe { libc::_exit(128 + i32::from(byte)) };
        }
    });
}
