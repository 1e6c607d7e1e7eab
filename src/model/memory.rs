//! How much memory the program uses and how much is free.

/// Bytes that the system could still give this program.
pub fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
    system.available_memory()
}

/// Bytes of memory that this program holds, as the system counts them; 0 where it does not say.
pub fn resident() -> u64 {
    let Ok(own) = sysinfo::get_current_pid() else {
        return 0;
    };
    let mut system = sysinfo::System::new();
    system.refresh_processes_specifics(
        sysinfo::ProcessesToUpdate::Some(&[own]),
        false,
        sysinfo::ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(own).map_or(0, sysinfo::Process::memory)
}
