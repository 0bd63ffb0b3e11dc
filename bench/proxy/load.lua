-- The requests for wrk. Arguments: the number of distinct paths, the length of a request's body (0: GET),
-- the length of an answer's, "keep" or "close", and "check" to look at every answer. Looking costs the load
-- core much, so it is done in the slice before the measured ones.

local requests = {}
local last = 0
local threads = {}

-- Global, because `done` reads it from outside the thread.
foreign = 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local paths, body, answer = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local method = body > 0 and "POST" or "GET"
  local headers = args[4] == "close" and { ["Connection"] = "close" } or {}
  -- Made beforehand: a request then costs one table look-up.
  for number = 1, paths do
    local path = string.format("/item/%04d", number - 1)
    requests[number] = wrk.format(method, path, headers, body > 0 and string.rep("b", body) or nil)
  end
  if args[5] == "check" then
    function response(status, headers, body)
      if status ~= 200 or #body ~= answer or not body:find("^answer by origin %d%d%d") then
        foreign = foreign + 1
      end
    end
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency, rates)
  local seen = 0
  for _, thread in ipairs(threads) do
    seen = seen + thread:get("foreign")
  end
  local errors = summary.errors
  io.write(string.format(
    'result {"requests": %d, "microseconds": %d, "failures": %d, "foreign": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, seen
  ))
end
