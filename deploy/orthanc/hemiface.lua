-- Sends what hemiface can measure to hemiface, as soon as it is stored.

-- The name of hemiface in "DicomModalities".
local MODALITY = 'hemiface'

-- What hemiface sends back must not be sent to it again: the AE title it calls with.
local RESULTS_FROM = 'HEMIFACE'

-- Photographs, surface scans (native and as encapsulated STL or OBJ), secondary captures.
local MEASURED = { XC = true, OSS = true, M3D = true, OT = true }

function OnStoredInstance(instanceId, tags, metadata, origin)
   if origin['RemoteAet'] == RESULTS_FROM then
      return
   end
   if MEASURED[tags['Modality']] then
      SendToModality(instanceId, MODALITY)
   end
end
