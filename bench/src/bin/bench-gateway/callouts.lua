-- The same as our filter by hand: a question that waits, and a call with the response's half that does not.

local function escaped(character)
  return string.format("\\u%04x", string.byte(character))
end

local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', escaped) .. '"'
end

local function written(headers)
  local parts = {}
  for name, value in pairs(headers) do
    if string.sub(name, 1, 1) ~= ":" then
      parts[#parts + 1] = "{" .. quoted(name) .. ":" .. quoted(value) .. "}"
    end
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function call(handle, path, id, body, waits_not)
  return handle:httpCall("ase", {
    [":method"] = "POST",
    [":path"] = path,
    [":authority"] = "ase",
    ["content-type"] = "application/json",
    ["x-correlationid"] = id,
  }, body, 5000, waits_not)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local id = headers:get("x-request-id")
  local peer = handle:streamInfo():downstreamRemoteAddress()
  local address, port = string.match(peer, "^(.*):(%d+)$")
  handle:streamInfo():dynamicMetadata():set("ase", "id", id)
  local body = '{"source_ip":' .. quoted(address) .. ',"source_port":' .. port
    .. ',"method":' .. quoted(headers:get(":method")) .. ',"url":' .. quoted(headers:get(":path"))
    .. ',"http_version":"1.1","headers":[{"host":' .. quoted(headers:get(":authority")) .. "},"
    .. string.sub(written(headers), 2) .. "}"
  local answer = call(handle, "/ase/request", id, body, false)
  if answer[":status"] ~= "200" then
    handle:respond({ [":status"] = "403" }, "Forbidden\n")
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local found = handle:streamInfo():dynamicMetadata():get("ase")
  local body = '{"response_code":' .. headers:get(":status") .. ',"http_version":"1.1","headers":' .. written(headers) .. "}"
  call(handle, "/ase/response", found["id"], body, true)
end
