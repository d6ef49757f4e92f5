import CChild

/// Names the layers of a jail. The kernel, or the rules of a container, may lack any of them.
package struct JailLayers: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// An own network without a way out.
    package static let network = JailLayers(rawValue: UInt32(tgp_layer_network))
    /// An own process namespace: no process of the jail sees others, or outlives it.
    package static let processes = JailLayers(rawValue: UInt32(tgp_layer_processes))
    /// Landlock for files.
    package static let files = JailLayers(rawValue: UInt32(tgp_layer_files))
    /// Landlock for TCP ports.
    package static let ports = JailLayers(rawValue: UInt32(tgp_layer_ports))
    /// A filter for system calls.
    package static let systemCalls = JailLayers(rawValue: UInt32(tgp_layer_calls))
    /// Limits for memory, processor time and file size; no new privileges.
    package static let limits = JailLayers(rawValue: UInt32(tgp_layer_limits))
    /// A limit for the number of processes.
    package static let processCount = JailLayers(rawValue: UInt32(tgp_layer_process_count))
    /// A control group.
    package static let controlGroup = JailLayers(rawValue: UInt32(tgp_layer_cgroup))

    /// The layers that work on this machine, found by trying each once.
    package static let available: JailLayers = {
        let tried = JailLayers(rawValue: tgp_jail_probe())
        return JailGroup.folder == nil ? tried : tried.union(.controlGroup)
    }()

    /// Every layer with its name for people, and what to do if it is missing.
    private static let names: [(layer: JailLayers, name: String, remedy: String)] = [
        (.network, "network", "allow user namespaces (user.max_user_namespaces, AppArmor's restrictions)"),
        (.processes, "process namespace", "allow user namespaces"),
        (.files, "files", "use a kernel with Landlock (5.13 or newer, lsm=landlock)"),
        (.ports, "ports", "use a kernel with Landlock 4 (6.7 or newer)"),
        (.systemCalls, "system calls", "use a kernel with seccomp filters"),
        (.limits, "limits", "allow setrlimit and no_new_privs"),
        (.processCount, "process count", "run as another user than root, or delegate a control group"),
        (.controlGroup, "control group", "delegate a control group with memory and pids (systemd: Delegate=)"),
    ]

    /// The names of the layers that this set has.
    package var present: [String] { JailLayers.names.filter { contains($0.layer) }.map(\.name) }

    /// The names of the layers that this set lacks.
    package var missing: [String] { JailLayers.names.filter { !contains($0.layer) }.map(\.name) }

    /// The missing layers that no other layer makes up for, each with what to do about it.
    package var gaps: [String] {
        var covered = self
        // Where no way leads out of the network, no port leads anywhere.
        if contains(.network) { covered.insert(.ports) }
        // Either one counts processes. The other limits of the group are set for each process as well.
        if contains(.controlGroup) { covered.insert(.processCount) }
        covered.insert(.controlGroup)
        return JailLayers.names.filter { !covered.contains($0.layer) }.map { "\($0.name) (\($0.remedy))" }
    }
}
