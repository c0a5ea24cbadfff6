// A modality that tells of its procedure step with dcmjs-dimse, and prints each answer as JSON.
// node performed_step_scu.js PORT STUDY_UID STEP_UID STATE INSTANCE_UID...
const dimse = require('dcmjs-dimse');
dimse.log.level = 'error';
const { Client, Dataset } = dimse;
const { NCreateRequest, NSetRequest } = dimse.requests;
const [port, study, step, state, ...instances] = process.argv.slice(2);
const SOP_CLASS = '1.2.840.10008.3.1.2.3.3';

const begun = new Dataset({
  SpecificCharacterSet: 'ISO_IR 192',
  ScheduledStepAttributesSequence: [{ StudyInstanceUID: study, AccessionNumber: 'A1' }],
  PatientName: 'Wang^XiaoDong=王^小东',
  PatientID: 'P1',
  PerformedProcedureStepID: 'S1',
  PerformedStationAETitle: 'STUDIO1',
  PerformedProcedureStepStartDate: '20261121',
  PerformedProcedureStepStartTime: '081500',
  PerformedProcedureStepStatus: 'IN PROGRESS',
  Modality: 'XC',
});
const ended = new Dataset({
  PerformedProcedureStepStatus: state,
  PerformedProcedureStepEndDate: '20261121',
  PerformedProcedureStepEndTime: '082000',
  PerformedSeriesSequence: [{
    SeriesInstanceUID: '1.2.9',
    ReferencedImageSequence: instances.map((uid) => ({
      ReferencedSOPClassUID: '1.2.840.10008.5.1.4.1.1.77.1.4',
      ReferencedSOPInstanceUID: uid,
    })),
  }],
});

function asked(request, dataset) {
  request.setDataset(dataset);
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      console.log(JSON.stringify({
        status: response.getStatus(), comment: response.getErrorComment() || '',
      }));
    });
    const client = new Client();
    client.addRequest(request);
    client.on('closed', resolve);
    client.on('networkError', reject);
    client.send('127.0.0.1', Number(port), 'STUDIO1', 'HEMIFACE');
  });
}

asked(new NCreateRequest(SOP_CLASS, step), begun)
  .then(() => asked(new NSetRequest(SOP_CLASS, step), ended))
  .then(() => asked(new NSetRequest(SOP_CLASS, step), ended))
  .then(() => process.exit(0), (fault) => { console.error(fault); process.exit(1); });
