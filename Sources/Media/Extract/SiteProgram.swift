import Glibc
import HTTP
import Payloads
import Process
import System

/// Runs a program that reads sites, yt-dlp or gallery-dl, in a folder and a jail of its own, behind the guard of addresses.
struct SiteProgram: Sendable {
    /// The settings for all sites, with those of this one added.
    var settings: ExtractorSettings
    /// The proxy that leads to the site; nil if it is reached directly.
    var proxy: ServerProxy?
    /// The programs that it may start itself.
    var helpers: [String]
    var jail = HelperJail()
    var folder: JobFolder
    /// The name of the program's folder within the folder of the job.
    var name: String
    var addressPolicy: AddressPolicy
    /// The longest file that it may write, in bytes.
    var maxBytes: Int64
    var deadline: ContinuousClock.Instant
    /// A download that grows by fewer bytes per second is ended. The program may also pause between parts, so the time is twice as
    /// long as for one server.
    var minimumRate = HTTPRequest.MinimumRate(bytesPerSecond: 8192, over: .seconds(60))
    /// The settings of the site; nil for one that has none.
    var site: Site?

    /// Holds what all runs of a job have in common.
    struct Place {
        var environment: [String: String]
        /// The cookies of which the program has a copy.
        var cookies: CookieFile?
        var network: Jail.Network
        /// The proxy through which all runs connect; nil if the environment's proxy makes all connections.
        var proxy: AddressGuardProxy?
    }

    /// Makes the folder and the network. The caller ends with `cleanUp`.
    func prepare() throws(MediaError) -> Place {
        try prepareFolder()
        do throws(MediaError) {
            var cookies = try settings.cookiesFile.map { path throws(MediaError) in try CookieFile(path) }
            // yt-dlp takes an empty file for one that is damaged.
            if cookies?.isEmpty == true { cookies = nil }
            if let cookies {
                cookies.rememberSecrets()
                try give(cookies.bytes, as: cookiesCopy)
            }
            let network = try HelperJail.network(listens: true)
            let proxy = isGuarded ? AddressGuardProxy(policy: addressPolicy, in: network, through: proxy) : nil
            return Place(
                environment: environment(proxy), cookies: cookies,
                network: proxy == nil ? .open(network) : .only(network), proxy: proxy)
        } catch {
            unlink(cookiesCopy)
            removeLeftovers()
            throw error
        }
    }

    func cleanUp(_ place: Place) {
        place.proxy?.stop()
        unlink(cookiesCopy)
        removeLeftovers()
    }

    /// Keeps what the site changed in the cookies, if they are the site's own.
    func refreshCookies(_ place: Place) {
        if settings.refreshesCookies { place.cookies?.refresh(from: cookiesCopy) }
    }

    /// Returns an error with the site whose cookies it is about, if the site refuses them.
    ///
    /// A link to the site can lead to a page of another one, which can say that it wants a login.
    /// - Parameter extractor: the extractor that the error comes from.
    func blaming(_ error: MediaError, of extractor: String?, _ place: Place) -> MediaError {
        guard error.code == .loginRequired, settings.refreshesCookies, place.cookies != nil, let site,
            site.isSource(of: extractor, place.proxy?.visitedHosts)
        else { return error }
        var error = error
        error.refusedCookiesOf = site.name
        return error
    }

    // MARK: - The folder

    /// The one folder that the program may change. This program's own files of the job are beside it, out of its reach.
    var work: String { folder.file(name) }

    /// The folder for caches and temporary files.
    private var home: String { "\(work)/home" }

    /// The copy of the cookies that the program gets, and changes.
    var cookiesCopy: String { "\(work)/cookies.txt" }

    private func prepareFolder() throws(MediaError) {
        removeTree(home)
        let made = makeFolders(home, mode: 0o700)
        guard made.error == 0 else { throw .local("make a folder", made.error) }
    }

    /// Removes everything but partial downloads.
    private func removeLeftovers() {
        removeTree(home)
        rmdir(work)
    }

    /// Writes a file in the program's folder. An earlier run may have left anything under its name.
    func give(_ bytes: [UInt8], as path: String) throws(MediaError) {
        removeTree(path)
        removeTree(path + ".new")
        try SmallFile.write(bytes, to: path)
    }

    /// Removes what was downloaded so far.
    func removeMedia() {
        for name in folderEntries(work) ?? [] where name.hasPrefix("media.") { removeTree("\(work)/\(name)") }
    }

    // MARK: - The command line

    /// Is false if all connections are made by the environment's proxy. The program then needs a network of which this program
    /// controls nothing.
    var isGuarded: Bool { proxy != nil || addressPolicy != .any || HelperEnvironment.proxies().isEmpty }

    func run(_ arguments: [String], _ place: Place, processorTime: Duration) -> ChildRun {
        var command = Command(settings.program, arguments, environment: place.environment, directory: work)
        command.jail = jail.forExtractor(
            [settings.program] + helpers, network: place.network, folder: work, processorTime: processorTime)
        command.jail?.readable += settings.argumentFiles
        return ChildRun(command, timeout: max(.milliseconds(1), deadline - .now))
    }

    private func environment(_ proxy: AddressGuardProxy?) -> [String: String] {
        var environment = HelperEnvironment.variables(home: home)
        environment["PYTHONIOENCODING"] = "utf-8"
        environment.merge(proxy?.environment ?? HelperEnvironment.proxies()) { $1 }
        return environment
    }

    /// Explains the end of a run that did not succeed; nil if the program itself failed.
    func failure(_ exit: ChildRun.Exit) -> MediaError? {
        switch exit.cause {
        case .overdue: MediaError(.timedOut, "The download took too long.")
        case .flooded: MediaError(.extractorFailed, "\(name) printed too much.")
        case .ended(.signalled(SIGXCPU)):
            MediaError(.timedOut, "The download took too much processor time.", isTransient: false)
        case .ended(.signalled(let signal)):
            MediaError(.extractorFailed, "\(name) was killed (signal \(signal)).", isTransient: true)
        case .cancelled: .cancelled
        case .ended(.exited): nil
        }
    }
}

extension SiteProgram {
    /// The files and folders that the program may make: each fragment of a long video can be one.
    private static let mostEntries = 50_000

    /// Runs the program until its end, until a line of its output says that it is over, or until its files grow too slowly or
    /// beyond what the limit of one file allows.
    ///
    /// - Parameters:
    ///   - isDownload: whether its files have to grow.
    ///   - fault: is asked every second; an error that it returns ends the run.
    ///   - onGrowth: gets the bytes of all files every second.
    func runWatched(
        _ run: ChildRun, isDownload: Bool, until isOver: @escaping @Sendable () -> Bool = { false },
        fault: @escaping @Sendable () -> MediaError? = { nil },
        onGrowth: @escaping @Sendable (Int64) -> Void = { _ in },
        onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(MediaError) -> ChildRun.Exit {
        enum Ending: Sendable {
            case run(Result<ChildRun.Exit, MediaError>)
            case watch(MediaError?)
        }
        let result: Result<ChildRun.Exit, MediaError> = await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do throws(MediaError) {
                    return .run(.success(try await run.runHelper(until: isOver, onLine: onLine)))
                } catch {
                    return .run(.failure(error))
                }
            }
            group.addTask { .watch(await faultOfFiles(isDownload: isDownload, fault, onGrowth)) }
            var fault: MediaError?
            for await ending in group {
                switch ending {
                case .run(let result):
                    group.cancelAll()
                    return fault.map { .failure($0) } ?? result
                case .watch(let found):
                    fault = found
                    if found != nil { group.cancelAll() }
                }
            }
            return .failure(.cancelled)
        }
        return try result.get()
    }

    /// Returns an error as soon as the files have grown too slowly or too far, and nil when its task is cancelled. Files that are
    /// merged and removed count as growth as well.
    private func faultOfFiles(
        isDownload: Bool, _ fault: @Sendable () -> MediaError?, _ onGrowth: @Sendable (Int64) -> Void
    ) async -> MediaError? {
        let window = minimumRate.window * 2
        let least = minimumRate.bytesPerSecond * (window / .seconds(1))
        var (start, before) = (ContinuousClock.now, FolderUse(of: work).bytes)
        while (try? await Task.sleep(for: min(window, .seconds(1)))) != nil {
            let use = FolderUse(of: work)
            if use.bytes > mostBytes || use.entries > SiteProgram.mostEntries {
                return .tooLarge(bytes: nil, maxBytes: maxBytes)
            }
            if isDownload {
                if let error = fault() { return error }
                onGrowth(use.bytes)
            }
            guard isDownload, .now - start >= window else { continue }
            if Double((use.bytes - before).magnitude) < least {
                return MediaError(.timedOut, "The site sends too slowly.")
            }
            (start, before) = (.now, use.bytes)
        }
        return nil
    }

    /// The most bytes of all files together: pictures, sound, what both are merged to, and a cache. The limit of the system holds
    /// for one file, and a program can write many.
    private var mostBytes: Int64 {
        let (sum, overflow) = maxBytes.multipliedReportingOverflow(by: 3)
        return overflow ? .max : sum.addingClamped(256 << 20)
    }
}
