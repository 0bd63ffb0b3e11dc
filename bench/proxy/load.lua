-- The requests for wrk. Arguments: the number of distinct paths, then "check" to look at every answer.
-- Looking costs the load core much, so it is done in the slice before the measured ones.

local requests = {}
local last = 0
local threads = {}

-- Global, because `done` reads it from outside the thread.
foreign = 0

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  -- Made beforehand: a request then costs one table look-up.
  for number = 1, tonumber(args[1]) do
    requests[number] = wrk.format("GET", string.format("/item/%04d", number - 1))
  end
  if args[2] == "check" then
    function response(status, headers, body)
      if status ~= 200 or not body:find("^answer by origin %d%d%d$") then
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
