import Process
import HTTP

extension YtDlp {
    /// Runs a download until its end, until a line of its output says that it is over, or until its files grow too slowly.
    func runWatched(
        _ run: ChildRun, until isOver: @escaping @Sendable () -> Bool, onLine: @escaping @Sendable (String) -> Void
    ) async throws(MediaError) -> ChildRun.Exit {
        enum Ending: Sendable {
            case run(Result<ChildRun.Exit, MediaError>)
            case watch(isTooSlow: Bool)
        }
        let result: Result<ChildRun.Exit, MediaError> = await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do throws(MediaError) {
                    return .run(.success(try await run.runHelper(until: isOver, onLine: onLine)))
                } catch {
                    return .run(.failure(error))
                }
            }
            group.addTask { .watch(isTooSlow: await growsTooSlowly()) }
            var wasTooSlow = false
            for await ending in group {
                switch ending {
                case .run(let result):
                    group.cancelAll()
                    return wasTooSlow ? .failure(MediaError(.timedOut, "The site sends too slowly.")) : result
                case .watch(let isTooSlow):
                    wasTooSlow = isTooSlow
                    if isTooSlow { group.cancelAll() }
                }
            }
            return .failure(.cancelled)
        }
        return try result.get()
    }

    /// Returns true as soon as the files have grown too slowly, and false when its task is cancelled. Files that are merged and
    /// removed count as well.
    private func growsTooSlowly() async -> Bool {
        let window = minimumRate.window * 2
        let least = minimumRate.bytesPerSecond * (window / .seconds(1))
        var before = WorkSpace.size(of: work)
        while (try? await Task.sleep(for: window)) != nil {
            let now = WorkSpace.size(of: work)
            if Double((now - before).magnitude) < least { return true }
            before = now
        }
        return false
    }
}
