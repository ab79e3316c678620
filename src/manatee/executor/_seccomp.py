"""The kernel's system calls: an allow-list; anything not listed fails with EPERM.

Not listed, and why: ptrace, process_vm_*, pidfd_getfd, kcmp (other processes' memory and files);
mount, the fsopen family, chroot, pivot_root, unshare, setns, clone with CLONE_NEW* (namespaces);
bpf, perf_event_open, userfaultfd, io_uring_*, keyctl, add_key, request_key, modify_ldt, SysV IPC,
name_to_handle_at, open_by_handle_at (a large attack surface that numerical Python does without);
kexec, modules, reboot, swap, clocks, syslog (the machine). `clone3` gets ENOSYS so that the C
library falls back to `clone`, whose flags a filter can read.
"""

from __future__ import annotations

import errno
from pathlib import Path

from manatee.errors import BackendError

ALLOWED = tuple(
    """
    accept accept4 access alarm arch_prctl bind brk capget chdir chmod chown clock_getres
    clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2
    execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat
    fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fstat fstatfs fsync ftruncate
    futex futex_waitv futimesat get_mempolicy get_robust_list getcpu getcwd getdents getdents64
    getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt
    gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch kill lchown lgetxattr link linkat listen listxattr llistxattr lseek lstat
    madvise mbind membarrier memfd_create mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall
    mmap mprotect mremap msync munlock munlockall munmap nanosleep newfstatat open openat openat2
    pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
    prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead
    readlink readlinkat readv recvfrom recvmmsg recvmsg rename renameat renameat2 restart_syscall
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select
    sendfile sendmmsg sendmsg sendto set_mempolicy set_robust_list set_tid_address setfsgid
    setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid
    setrlimit setsid setsockopt setuid shutdown sigaltstack signalfd signalfd4 splice stat statfs
    statx symlink symlinkat sync_file_range sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork wait4 waitid
    write writev
    """.split()
)
"""Allowed whatever their arguments; seccomp(2) itself can only tighten."""

NEW_NAMESPACES = 0x7E02_0000
"""All CLONE_NEW* flags that clone(2) takes."""

SOCKETS = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6"}
"""Families that may be opened; there is no network behind the last two, but ipykernel wants them
to exist."""

AF_NETLINK = 16
"""Fails with EOPNOTSUPP: ZeroMQ takes that for "no interfaces" and aborts on EPERM."""

SOCKET_TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 5: "SOCK_SEQPACKET"}
_TYPE_MASK = 0xF

IOCTLS = {
    0x5401: "TCGETS",
    0x5402: "TCSETS",
    0x5403: "TCSETSW",
    0x5404: "TCSETSF",
    0x540B: "TCFLSH",
    0x540E: "TIOCSCTTY",
    0x540F: "TIOCGPGRP",
    0x5410: "TIOCSPGRP",
    0x5413: "TIOCGWINSZ",
    0x5414: "TIOCSWINSZ",
    0x541B: "FIONREAD",
    0x5421: "FIONBIO",
    0x5450: "FIONCLEX",
    0x5451: "FIOCLEX",
    0x80045430: "TIOCGPTN",
    0x40045431: "TIOCSPTLCK",
    0x5441: "TIOCGPTPEER",
}
"""Compared over all 64 bits, so TIOCSTI with high bits set does not slip through either."""

QUERY_PERSONALITY = 0xFFFF_FFFF


def write_filter(target: Path) -> None:
    """Compile the filter and write it as the BPF program that bubblewrap loads.

    Raises:
        BackendError: libseccomp is missing or refuses: the kernel must not run unfiltered.
    """
    try:
        import pyseccomp as libseccomp

        rules = libseccomp.SyscallFilter(defaction=libseccomp.ERRNO(errno.EPERM))
        rules.set_attr(libseccomp.Attr.CTL_OPTIMIZE, 2)  # a binary tree, not one long chain
        for name in ALLOWED:
            rules.add_rule(libseccomp.ALLOW, name)
        only = libseccomp.Arg
        rules.add_rule(libseccomp.ALLOW, "clone", only(0, libseccomp.MASKED_EQ, NEW_NAMESPACES, 0))
        rules.add_rule(libseccomp.ERRNO(errno.ENOSYS), "clone3")
        for family in SOCKETS:
            for kind in SOCKET_TYPES:
                rules.add_rule(
                    libseccomp.ALLOW,
                    "socket",
                    only(0, libseccomp.EQ, family),
                    only(1, libseccomp.MASKED_EQ, _TYPE_MASK, kind),
                )
        rules.add_rule(
            libseccomp.ERRNO(errno.EOPNOTSUPP), "socket", only(0, libseccomp.EQ, AF_NETLINK)
        )
        rules.add_rule(libseccomp.ALLOW, "socketpair", only(0, libseccomp.EQ, 1))
        for request in IOCTLS:
            rules.add_rule(libseccomp.ALLOW, "ioctl", only(1, libseccomp.EQ, request))
        rules.add_rule(libseccomp.ALLOW, "personality", only(0, libseccomp.EQ, QUERY_PERSONALITY))
        with target.open("wb") as stream:
            rules.export_bpf(stream)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise BackendError("the system call filter cannot be compiled.") from error
