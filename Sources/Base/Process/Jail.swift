import CChild
import Glibc
package import System

/// Confines a program that handles strangers' data: what it reaches, opens, calls and uses up.
///
/// Programs that it starts are in the same jail. The layers that this machine supports are `JailLayers.available`; the
/// program does not start if one of those fails.
package struct Jail: Sendable {
    /// Decides which network the program has.
    package enum Network: Sendable {
        /// It reaches only what listens inside the network.
        case only(JailNetwork)
        /// It reaches every address. The network lends its user namespace only.
        case open(JailNetwork)
    }

    package var network: Network
    /// The files and folders that the program may read and execute. A path that does not exist is left out.
    package var readable: [String]
    /// The files and folders that the program may change.
    package var writable: [String]
    package var limits: JailLimits
    /// The control group; nil if none is delegated to this process.
    package var group: JailGroup?

    package init(network: Network, readable: [String], writable: [String], limits: JailLimits) {
        self.network = network
        self.readable = readable
        self.writable = writable
        self.limits = limits
        group = JailGroup(limits)
    }

    /// Calls `body` with the jail in the form that a child takes.
    ///
    /// - Returns: what `body` returns, or a negative error number.
    func withChildForm(_ body: (UnsafePointer<tgp_jail>) -> Int32) -> Int32 {
        var layers = JailLayers.available
        let (namespaces, isOpen) =
            switch network {
            case .only(let network): (network, false)
            case .open(let network): (network, true)
            }
        if isOpen { layers.subtract([.network, .ports]) }
        let ruleset = layers.contains(.files) ? makeRuleset(layers.contains(.ports) ? .some(namespaces.port) : nil) : -1
        guard ruleset >= 0 || !layers.contains(.files) else { return -(-ruleset | Int32(tgp_failed_jail)) }
        defer { if ruleset >= 0 { close(ruleset) } }
        let cgroup = group?.openMembers() ?? -1
        defer { if cgroup >= 0 { close(cgroup) } }
        var jail = tgp_jail(
            layers: layers.rawValue, user_namespace: namespaces.userNamespace,
            network_namespace: isOpen ? -1 : namespaces.networkNamespace, ruleset: ruleset, cgroup: cgroup,
            permits_datagrams: isOpen || layers.contains(.network), memory_bytes: limits.memoryBytes,
            address_bytes: limits.addressBytes, cpu_seconds: limits.cpuSeconds, processes: limits.processes)
        return body(&jail)
    }

    /// - Parameter port: the one TCP port that may be connected to, or none; nil restricts no port.
    private func makeRuleset(_ port: UInt16??) -> Int32 {
        let ruleset = tgp_ruleset_make(port != nil)
        guard ruleset >= 0 else { return ruleset }
        for path in SystemFiles.readable + readable { _ = tgp_ruleset_permit(ruleset, path, Int32(tgp_access_read)) }
        for path in SystemFiles.devices + writable { _ = tgp_ruleset_permit(ruleset, path, Int32(tgp_access_write)) }
        if case .some(.some(let port)) = port { _ = tgp_ruleset_permit_port(ruleset, port) }
        return ruleset
    }
}

/// Limits what each process of a jail uses up; 0 sets no limit.
package struct JailLimits: Sendable {
    /// Private memory that can be written.
    package var memoryBytes: UInt64
    /// All of the address space, with its reserved and shared parts. JavaScript engines reserve far more than they use.
    package var addressBytes: UInt64
    /// Seconds of processor time.
    package var cpuSeconds: UInt64
    /// Processes and threads of the whole jail. The kernel sets the user root no such limit.
    package var processes: UInt64

    package init(memoryBytes: UInt64 = 0, addressBytes: UInt64 = 0, cpuSeconds: UInt64 = 0, processes: UInt64 = 512) {
        self.memoryBytes = memoryBytes
        self.addressBytes = addressBytes
        self.cpuSeconds = cpuSeconds
        self.processes = processes
    }
}

/// Is a network that one job uses. Nothing leads out of it but the one socket that this process listens at.
package final class JailNetwork: Sendable {
    let userNamespace: Int32
    let networkNamespace: Int32
    /// The listening socket at 127.0.0.1 inside the network; -1 if none was wanted. It closes with this object. On a
    /// machine without that layer it listens in this process's own network.
    package let listener: Int32
    /// The listening socket's port; nil if there is none.
    package let port: UInt16?

    /// Makes a network.
    ///
    /// - Parameters:
    ///   - listens: whether to open the listening socket.
    ///   - isIsolated: false makes none, and the socket listens in this process's own network.
    /// - Throws: `SystemError`.
    package init(listens: Bool, isIsolated: Bool = true) throws(SystemError) {
        var network = tgp_network(user_namespace: -1, network_namespace: -1, listener: -1, port: 0)
        var code: Int32 = 0
        if isIsolated, JailLayers.available.contains(.network) {
            code = tgp_network_make(&network, listens)
        } else if listens {
            code = tgp_listen_here(&network)
        }
        guard code == 0 else { throw SystemError(-code) }
        (userNamespace, networkNamespace) = (network.user_namespace, network.network_namespace)
        listener = network.listener
        port = listens ? network.port : nil
    }

    deinit {
        for descriptor in [userNamespace, networkNamespace, listener] where descriptor >= 0 { close(descriptor) }
    }
}
