import JSON
import MTProto

/// Holds the addresses of the data centres: `dc_options` of Telegram's configuration.
struct DataCenterOptions: Sendable {
    private struct Option: Sendable {
        let dataCenter: Int
        let address: ServerAddress
        let isIPv6: Bool
        let isCDN: Bool
    }

    private let options: [Option]

    /// Reads a `config`. Addresses for media alone, and those that require a secret, are left out.
    init(_ config: JSON) {
        options = (config["dc_options"]?.array ?? []).compactMap { option in
            guard let number = option["id"]?.int, (1...1000).contains(number), let host = option["ip_address"]?.string,
                let port = option["port"]?.int, (1...65535).contains(port), host.utf8.count < 256,
                option["media_only"] != true, option["tcpo_only"] != true
            else { return nil }
            return Option(
                dataCenter: Int(number), address: ServerAddress(host, Int(port)), isIPv6: option["ipv6"] == true,
                isCDN: option["cdn"] == true)
        }
    }

    func addresses(of dataCenter: Int, isIPv6: Bool, isCDN: Bool = false) -> [ServerAddress] {
        let all = options.filter { $0.dataCenter == dataCenter && $0.isCDN == isCDN }
        return (all.filter { $0.isIPv6 == isIPv6 } + all.filter { $0.isIPv6 != isIPv6 && isCDN }).map(\.address)
    }

    /// Returns one address of each data centre, to be saved.
    func best(isIPv6: Bool) -> [Int: ServerAddress] {
        options.filter { !$0.isCDN && $0.isIPv6 == isIPv6 }.reduce(into: [:]) { best, option in
            best[option.dataCenter] = best[option.dataCenter] ?? option.address
        }
    }
}
